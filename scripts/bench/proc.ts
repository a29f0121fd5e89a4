/** CPU time and memory of other processes, from /proc; undefined where there is none. */
import { readdirSync, readFileSync } from "node:fs"

/** `getconf CLK_TCK` is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

interface Stat {
  readonly parent: number
  readonly own: number
  /** Of children that ended and were waited for. */
  readonly children: number
}

const statOf = (pid: number): Stat | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name of the program stands in parentheses and may hold anything.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number)
    const seconds = (first: number) => (fields[first]! + fields[first + 1]!) / TICKS_PER_SECOND
    return { parent: fields[1]!, own: seconds(11), children: seconds(13) }
  } catch {
    return undefined
  }
}

/** Seconds of CPU that all threads of `pid` have used. */
export const cpuSeconds = (pid: number): number | undefined => statOf(pid)?.own

/** Seconds of CPU of all processes below `parent`, those that ended included, without `except`. */
export const childrenCpuSeconds = (parent: number, except: number): number | undefined => {
  for (;;) {
    const before = statOf(parent)
    if (before === undefined) return undefined
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number)
    const living = pids.reduce((sum, pid) => {
      const stat = statOf(pid)
      return stat?.parent === parent && pid !== except ? sum + stat.own : sum
    }, 0)
    // A process that ended meanwhile is in neither sum, or in both: count again.
    if (statOf(parent)?.children === before.children) return before.children + living
  }
}

const memoryMb = (pid: number, field: "VmHWM" | "VmRSS"): number | undefined => {
  try {
    const match = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))
    return match === null ? undefined : Number(match[1]) / 1024
  } catch {
    return undefined
  }
}

/** Most memory that `pid` ever held, in MiB. */
export const peakRssMb = (pid: number): number | undefined => memoryMb(pid, "VmHWM")

/** Memory that `pid` holds now, in MiB. */
export const rssMb = (pid: number): number | undefined => memoryMb(pid, "VmRSS")
