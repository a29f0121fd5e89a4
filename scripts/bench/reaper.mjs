/**
 * Kills what the benchmark started when the benchmark itself is gone, however it ended: SIGKILL and a crash included.
 *
 * Standard input is a pipe whose other end the benchmark holds: `+pid` and `-pid` add and remove a process group, `dir path`
 * names a directory to be removed. The end of the pipe is the end of the benchmark.
 */
import { existsSync, rmSync } from "node:fs"
import { createInterface } from "node:readline"

const PATIENCE_MILLIS = 15_000

const groups = new Set()
const directories = new Set()
for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith("+")) groups.add(Number(line.slice(1)))
  else if (line.startsWith("-")) groups.delete(Number(line.slice(1)))
  else directories.add(line.slice("dir ".length))
}
for (const group of groups) {
  try {
    process.kill(-group, "SIGKILL")
  } catch {
    // It ended by itself.
  }
}
// PostgreSQL has a watchdog of its own; its directory is removed when it has stopped.
const until = Date.now() + PATIENCE_MILLIS
const serving = (directory) => existsSync(`${directory}/postgres/data/postmaster.pid`)
while (Date.now() < until && [...directories].some(serving)) await new Promise((resolve) => setTimeout(resolve, 100))
for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
