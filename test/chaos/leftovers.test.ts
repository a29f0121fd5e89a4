/** The machine as a process that is killed in the middle of a schedule. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { eventually } from "../support/eventually.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"

const COMMAND = fileURLToPath(new URL("../../scripts/chaos.ts", import.meta.url))
const jiti = join(dirname(createRequire(import.meta.url).resolve("jiti/package.json")), "lib/jiti-cli.mjs")

type Process = readonly [pid: number, parent: number]

/** The process of an entry of /proc; none where it has ended meanwhile. Source: proc_pid_stat(5). */
const processOf = (pid: string): ReadonlyArray<Process> => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name before it may have spaces and brackets.
    const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return [[Number(pid), Number(parent)]]
  } catch {
    return []
  }
}

/** All processes of this machine; slim images of Linux have no `ps`. */
const allProcesses = (): ReadonlyArray<Process> =>
  existsSync("/proc/self/stat")
    ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap(processOf)
    : execFileSync("ps", ["-e", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n").map((line) => {
      const [pid, parent] = line.trim().split(/\s+/).map(Number)
      return [pid!, parent!]
    })

/** The process and all that descend from it. */
const familyOf = (root: number): ReadonlyArray<number> => {
  const processes = allProcesses()
  const family = [root]
  for (const member of family) family.push(...processes.filter(([, parent]) => parent === member).map(([pid]) => pid))
  return family
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("the chaos machine", () => {
  it.live(
    "leaves no process and no file behind when it gets SIGKILL in the middle of a schedule",
    () =>
      Effect.gen(function*() {
        const directory = yield* temporaryDirectory
        // The account of the PostgreSQL server must be able to enter.
        chmodSync(directory, 0o755)
        let output = ""
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, [jiti, COMMAND, "--seed", "1", "--seconds", "600", "--trace"], {
              env: { ...process.env, TMPDIR: directory },
              stdio: ["ignore", "pipe", "inherit"]
            })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        child.stdout.setEncoding("utf8").on("data", (text: string) => output += text)
        yield* eventually(() => `an action begins; printed: ${output}`, Effect.sync(() => output.includes("begins")))
        const family = familyOf(child.pid!)
        // The machine, its reaper, the sync, the watchdog of PostgreSQL, and PostgreSQL with its processes.
        assert.isAbove(family.length, 8)
        assert.isNotEmpty(readdirSync(directory))
        child.kill("SIGKILL")
        yield* eventually("every process is gone", Effect.sync(() => !family.some(isAlive)))
        yield* eventually("every file is gone", Effect.sync(() => readdirSync(directory).length === 0))
      }),
    120_000
  )
})
