/** Starts processes, each in a group of its own, and ensures that none outlives the benchmark. */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const running = new Set<ChildProcess>()

const reaper = spawn(process.execPath, [fileURLToPath(new URL("reaper.mjs", import.meta.url))], {
  // A session of its own: Ctrl-C in the terminal must not end it before it has done its work.
  detached: true,
  stdio: ["pipe", "ignore", "inherit"]
})
reaper.unref()
reaper.stdin.on("error", () => undefined)
if ("unref" in reaper.stdin && typeof reaper.stdin.unref === "function") reaper.stdin.unref()

const tellReaper = (line: string): void => void reaper.stdin.write(`${line}\n`)

/** Removes `path` when the benchmark is gone. */
export const removeAtEnd = (path: string): void => tellReaper(`dir ${path}`)

export const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** `spawn`, in a process group that is killed with the benchmark. */
export const start = (command: string, args: ReadonlyArray<string>, options: SpawnOptions): ChildProcess => {
  const child = spawn(command, args, { ...options, detached: true })
  const { pid } = child
  child.once("error", () => running.delete(child))
  if (pid === undefined) return child
  running.add(child)
  tellReaper(`+${pid}`)
  child.once("exit", () => {
    running.delete(child)
    tellReaper(`-${pid}`)
  })
  return child
}

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
  try {
    if (child.pid !== undefined && !hasEnded(child)) process.kill(-child.pid, signal)
  } catch {
    // It ended meanwhile.
  }
}

/** Kills every process that is left, and its children. */
export const killAll = (): void => {
  for (const child of running) signalGroup(child, "SIGKILL")
}

/** Asks a process to end, and kills its group when it has not done so after `timeoutMillis`. */
export const stop = async (child: ChildProcess, timeoutMillis = 10_000): Promise<void> => {
  if (child.pid === undefined || hasEnded(child)) return
  const exited = once(child, "exit")
  signalGroup(child, "SIGTERM")
  const timer = setTimeout(() => signalGroup(child, "SIGKILL"), timeoutMillis)
  await exited
  clearTimeout(timer)
}
