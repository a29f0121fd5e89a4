/**
 * Looks for a schedule of faults after which a reader sees a wrong row: `npm run chaos -- --help`. Docs: docs/reliability.md.
 */
import { Effect } from "effect"
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { Dialect } from "../src/simulator/tables.ts"
import { mutants } from "../test/chaos/mutants.ts"
import { countKinds, formatResult, formatViolation, replayCommand, summarize } from "../test/chaos/report.ts"
import { type Result, type RunOptions, runSchedule } from "../test/chaos/runSchedule.ts"
import { type Schedule, scheduleOf } from "../test/chaos/schedule.ts"
import { shrink } from "../test/chaos/shrink.ts"
import { MAIN } from "../test/support/ampsyncProcess.ts"
import { killAll, removeAtEnd } from "./bench/children.ts"
import { findMutants } from "./chaos/findMutants.ts"

const HELP = `npm run chaos -- [options]

  --seed N          first seed, 1 by default; schedule i has the seed N + i
  --schedules M     number of schedules, 1 by default
  --jobs J          schedules at a time, each with a PostgreSQL of its own, 1 by default
  --minutes K       begin no schedule after K minutes
  --seconds S       time in which the actions of a schedule begin, 8 by default
  --heal-seconds H  time in which all must be well after the last fault, 180 by default
  --dialect D       amp or nozzle; by the seed where absent
  --processes P     1 or 2; by the seed where absent
  --only 1,4        only these actions of the schedule
  --until-found     stop at the first violation
  --mutants [NAME]  break the program on purpose, in a copy, and see whether each way, or those named, is found within M schedules
  --no-shrink       do not look for a shorter schedule that fails too
  --trace           print each action when it begins and ends
  --json FILE       write the results as JSON
  --summary FILE    print the sum of what was printed into this file and those that follow, and do nothing else

Names for --mutants: ${mutants.map(({ name }) => name).join(", ")}.
AMPSYNC_MAIN names another build of the program. Exit code 1 when a schedule found a violation.`

/** Results that may be lost when the machine is killed. */
const WRITE_EVERY = 20

const number = (text: string | undefined, byDefault: number): number => {
  const value = Number(text ?? byDefault)
  if (Number.isFinite(value) && value >= 0) return value
  console.error(`${text} is not a number\n\n${HELP}`)
  process.exit(2)
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: "string" },
    summary: { type: "string" },
    seed: { type: "string" },
    schedules: { type: "string" },
    minutes: { type: "string" },
    seconds: { type: "string" },
    "heal-seconds": { type: "string" },
    dialect: { type: "string" },
    processes: { type: "string" },
    only: { type: "string" },
    "until-found": { type: "boolean" },
    mutants: { type: "boolean" },
    "no-shrink": { type: "boolean" },
    trace: { type: "boolean" },
    json: { type: "string" },
    help: { type: "boolean", short: "h" }
  }
})
if (values.help === true) {
  console.log(HELP)
  process.exit(0)
}
if (values.summary !== undefined) {
  console.log(summarize([values.summary, ...positionals].map((path) => readFileSync(path, "utf8")).join("\n")))
  process.exit(0)
}
const dialect = values.dialect
if (dialect !== undefined && dialect !== "amp" && dialect !== "nozzle") {
  console.error(`--dialect ${dialect}: amp or nozzle\n\n${HELP}`)
  process.exit(2)
}
const processes = values.processes === undefined ? undefined : Number(values.processes)
if (processes !== undefined && processes !== 1 && processes !== 2) {
  console.error(`--processes ${values.processes}: 1 or 2\n\n${HELP}`)
  process.exit(2)
}
if (!existsSync(MAIN)) {
  console.error(`${MAIN} is not there; run: npm run build`)
  process.exit(2)
}
const [firstSeed, schedules] = [number(values.seed, 1), number(values.schedules, 1)]
const [minutes, seconds] = [number(values.minutes, 1e6), number(values.seconds, 8)]
const only = values.only?.split(",").map(Number)

const results: Array<Result> = []
const writeResults = () => {
  if (values.json === undefined) return
  const injected = countKinds(results.flatMap(({ schedule }) => schedule.actions))
  const command = process.argv.slice(2).join(" ")
  writeFileSync(values.json, `${JSON.stringify({ command, injected, results }, undefined, 2)}\n`)
}

// The reaper kills the processes and removes the directories, also when this process is killed.
const newDirectory = () => {
  const directory = mkdtempSync(join(tmpdir(), "ampsync-chaos-"))
  chmodSync(directory, 0o755)
  removeAtEnd(directory)
  return directory
}
// Whatever else is made for a schedule is in there, too.
process.env["TMPDIR"] = newDirectory()
process.on("exit", killAll)
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.on(signal, () => {
    writeResults()
    process.exit(code)
  })
}

if (values.mutants === true) {
  const names = ["seed", "schedules", "seconds", "heal-seconds", "jobs", "dialect"] as const
  const args = names.flatMap((name) => values[name] === undefined ? [] : [`--${name}`, values[name]])
  process.exit(await findMutants(newDirectory(), args, positionals))
}
const options: RunOptions = {
  healSeconds: number(values["heal-seconds"], 180),
  ...(values.trace === true ? { trace: (line) => console.log(line) } : {})
}

const until = Date.now() + minutes * 60_000
let begun = 0
let isFound = false
/** Runs one schedule after the other, until none is left. */
const runJob = async () => {
  const home = join(newDirectory(), "postgres")
  const run = (schedule: Schedule) => Effect.runPromise(runSchedule(schedule, home, options))
  while (begun < schedules && Date.now() < until && !(isFound && values["until-found"] === true)) {
    const whole = scheduleOf({
      seed: firstSeed + begun++,
      seconds,
      ...(dialect === undefined ? {} : { dialect: dialect as Dialect }),
      ...(processes === undefined ? {} : { processes: processes as 1 | 2 })
    })
    const schedule = only === undefined ? whole : { ...whole, actions: only.flatMap((i) => whole.actions[i] ?? []) }
    const result = await run(schedule)
    results.push(result)
    console.log(formatResult(result))
    if (results.length % WRITE_EVERY === 0) writeResults()
    if (result.violations.length === 0) continue
    isFound = true
    console.log(formatViolation(result, replayCommand(whole, seconds, only)))
    if (values["no-shrink"] === true || values["until-found"] === true || only !== undefined) continue
    const shorter = await shrink(whole, run)
    if (shorter === undefined) console.log(`no shorter schedule than that of seed ${whole.seed} failed`)
    else console.log(`shorter:\n${formatViolation(shorter.result, replayCommand(whole, seconds, shorter.only))}`)
  }
}
await Promise.all(Array.from({ length: Math.max(1, number(values.jobs, 1)) }, runJob))
writeResults()
console.log(summarize(results.map(formatResult).join("\n")))
process.exit(isFound ? 1 : 0)
