/** Limits the time a thread may wait for a child process: it cannot be terminated while it does. */
import childProcess from "node:child_process"
import { syncBuiltinESMExports } from "node:module"

interface Options {
  readonly timeout?: number
}

type Run = (...args: ReadonlyArray<unknown>) => unknown

const names = ["spawnSync", "execSync", "execFileSync"] as const

/** Kills synchronous child processes at `deadline`, as of `performance.now()`. Changes this thread's `node:child_process` only. */
export const limitChildProcesses = (deadline: number): void => {
  for (const name of names) {
    const run = childProcess[name] as Run
    const limited: Run = (...args) => {
      const left = Math.max(1, Math.round(deadline - performance.now()))
      const given = args.at(-1)
      const options = isOptions(given) ? given : undefined
      const timeout = Math.min(left, options?.timeout || left)
      return run(...(options === undefined ? args : args.slice(0, -1)), { ...options, timeout, killSignal: "SIGKILL" })
    }
    Object.assign(childProcess, { [name]: limited })
  }
  syncBuiltinESMExports()
}

const isOptions = (value: unknown): value is Options =>
  typeof value === "object" && value !== null && !Array.isArray(value)
