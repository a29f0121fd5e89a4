/** Keeps a thread from waiting for a program longer than it may run: no thread can be ended while it does. */
import childProcess from "node:child_process"
import { syncBuiltinESMExports } from "node:module"

interface Options {
  readonly timeout?: number
}

type Run = (...args: ReadonlyArray<unknown>) => unknown

const names = ["spawnSync", "execSync", "execFileSync"] as const

/** `deadline` as of `performance.now()`. Only this thread's copy of `node:child_process` is changed. */
export const limitChildProcesses = (deadline: number): void => {
  for (const name of names) {
    const run = childProcess[name] as Run
    const bounded: Run = (...args) => {
      const left = Math.max(1, Math.round(deadline - performance.now()))
      const given = args.at(-1)
      const options = isOptions(given) ? given : undefined
      const timeout = Math.min(left, options?.timeout || left)
      return run(...(options === undefined ? args : args.slice(0, -1)), { ...options, timeout, killSignal: "SIGKILL" })
    }
    Object.assign(childProcess, { [name]: bounded })
  }
  syncBuiltinESMExports()
}

const isOptions = (value: unknown): value is Options =>
  typeof value === "object" && value !== null && !Array.isArray(value)
