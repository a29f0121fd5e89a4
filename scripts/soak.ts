/**
 * Runs the program for hours under steady disturbance and judges whether anything grows: `npm run soak -- --help`.
 * Docs: docs/reliability.md.
 */
import { Deferred, Effect } from "effect"
import { appendFileSync, existsSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { MAIN } from "../test/support/ampsyncProcess.ts"
import { killAll, removeAtEnd } from "./bench/children.ts"
import { document, summarize } from "./soak/document.ts"
import { formatVerdict, judge } from "./soak/judge.ts"
import { findLeaks } from "./soak/leaks.ts"
import { plot } from "./soak/plot.ts"
import { record } from "./soak/record.ts"
import { readRecording } from "./soak/samples.ts"

const HELP = `npm run soak -- [options]

  --minutes N   how long, 120 by default, 4 at least: before that the heap grows to its size
  --seed N      seed of the chain and of the disturbances, 1 by default
  --json FILE   where the samples are written as they come, one JSON value per line; soak.jsonl by default
  --svg FILE    draw the samples
  --docs FILE   write the verdicts into a page that has the marks for it
  --judge FILE  run nothing: judge the samples of FILE, and draw or document them
  --leaks       run copies of the program that leak on purpose, each for N minutes, and see whether each is found

SIGINT and SIGTERM end it early, in good order. AMPSYNC_MAIN names another build of the program. Exit code 1 when something
grows, or when the tables are not equal to the chain at the end.`

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "120" },
    seed: { type: "string", default: "1" },
    json: { type: "string", default: "soak.jsonl" },
    svg: { type: "string" },
    docs: { type: "string" },
    judge: { type: "string" },
    leaks: { type: "boolean" },
    help: { type: "boolean", short: "h" }
  }
})
const isPositive = (value: string): boolean => Number(value) > 0 && Number.isFinite(Number(value))

if (values.help === true) {
  console.log(HELP)
  process.exit(0)
}
for (const [name, value] of [["minutes", values.minutes], ["seed", values.seed]] as const) {
  if (isPositive(value)) continue
  console.error(`--${name} ${value}: a number above 0\n\n${HELP}`)
  process.exit(2)
}
const MIN_MINUTES = 4
const minutes = Number(values.minutes)
if (minutes < MIN_MINUTES) {
  console.error(`--minutes ${values.minutes}: ${MIN_MINUTES} at least, because less cannot be judged`)
  process.exit(2)
}

/** Prints the verdicts; gives the exit code. */
const report = (path: string): number => {
  const recording = readRecording(path)
  const verdicts = judge(recording)
  console.log(summarize(recording))
  for (const verdict of verdicts) console.log(formatVerdict(verdict))
  if (values.svg !== undefined) writeFileSync(values.svg, plot(recording))
  if (values.docs !== undefined) document(recording, values.docs)
  return verdicts.every(({ isFlat }) => isFlat) ? 0 : 1
}
if (values.judge !== undefined) process.exit(report(values.judge))

if (!existsSync(MAIN)) {
  console.error(`${MAIN} is not there; run: npm run build`)
  process.exit(2)
}
// The reaper kills the processes and removes the directory, also when this process is killed.
const directory = mkdtempSync(join(tmpdir(), "ampsync-soak-"))
removeAtEnd(directory)
process.on("exit", killAll)
if (values.leaks === true) process.exit(await findLeaks(directory, minutes))

writeFileSync(values.json, "")
const stopped = Deferred.makeUnsafe<void>()
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => Deferred.doneUnsafe(stopped, Effect.void))
}
const log = await Effect.runPromise(record({
  minutes,
  seed: Number(values.seed),
  home: directory,
  command: `npm run soak -- ${process.argv.slice(2).join(" ")}`,
  write: (line) => appendFileSync(values.json, `${JSON.stringify(line)}\n`),
  stop: Deferred.await(stopped)
}))
if (log !== "") console.log(`the end of the log:\n${log}\n`)
process.exit(report(values.json))
