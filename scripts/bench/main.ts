/**
 * Measures the whole program against plain COPY of the same rows: `npm run bench -- --help`.
 *
 * Needs Node and npm alone: embedded PostgreSQL, a canned Flight server, a proxy and the floor are processes of its own, on the
 * loopback. Docs: docs/performance.md.
 */
import { Cause, Effect, Exit } from "effect"
import { existsSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { resolve } from "node:path"
import { type CaseResult, startBench } from "./bench.ts"
import { forEachBuild } from "./builds.ts"
import { ALL_CASES } from "./cases/all.ts"
import { killAll } from "./children.ts"
import { now } from "./clock.ts"
import { describeMachine } from "./machine.ts"
import { HELP, type Options, parseOptions, UsageError } from "./options.ts"
import { formatCases, formatMachine, type Report } from "./report.ts"

/** What stops within this time is stopped in good order. */
const STOP_WITHIN_MILLIS = 20_000

const readOptions = (): Options => {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options === undefined) {
      console.log(HELP)
      process.exit(0)
    }
    const missing = options.builds.find((path) => !existsSync(path))
    if (missing !== undefined) throw new UsageError(`${missing} is not there; run: npm run build`)
    return { ...options, builds: options.builds.map((path) => resolve(path)) }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
    process.exit(2)
  }
}

const run = (options: Options, progress: (line: string) => void) =>
  Effect.gen(function*() {
    const bench = yield* startBench(options)
    const machine = describeMachine(bench.postgres.version)
    progress(formatMachine(machine))
    options.builds.forEach((path, index) => progress(`#${index + 1} ${path}`))
    const cases: Array<CaseResult> = []
    for (const name of options.only) {
      const began = now()
      const results = yield* Effect.tryPromise({
        try: () => forEachBuild(bench, ALL_CASES[name]),
        catch: (error) => error
      })
      cases.push(...results)
      progress(`\n${results.map(({ name, title }) => `${name}: ${title}`).join("\n")}`)
      progress(`${formatCases(results, true)}\n(${((now() - began) / 1000).toFixed(1)} s)`)
    }
    const report: Report = {
      measuredAt: new Date().toISOString(),
      command: `npm run bench -- ${process.argv.slice(2).join(" ")}`.trim(),
      options,
      machine,
      cases
    }
    return report
  }).pipe(Effect.scoped)

const options = readOptions()
const stopping = new AbortController()
let exitCode: number | undefined

/** The scope stops PostgreSQL and removes the files; what is measured is killed at once. */
const giveUp = (code: number, reason: string): void => {
  if (exitCode !== undefined) return
  exitCode = code
  console.error(reason)
  killAll()
  stopping.abort()
  setTimeout(() => process.exit(code), STOP_WITHIN_MILLIS).unref()
}
process.on("SIGINT", () => giveUp(130, "interrupted"))
process.on("SIGTERM", () => giveUp(143, "terminated"))
process.on("SIGHUP", () => giveUp(129, "the terminal is gone"))
setTimeout(() => giveUp(1, `given up after ${options.minutes} minutes`), options.minutes * 60_000).unref()
process.on("exit", killAll)

if (options.tiny) console.log("--tiny: the figures below mean nothing")
const exit = await Effect.runPromiseExit(run(options, (line) => console.log(line)), { signal: stopping.signal })
if (Exit.isSuccess(exit)) {
  const report = exit.value
  console.log(`\nAll cases\n${formatCases(report.cases, false)}`)
  console.log(`\n${report.command}`)
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`)
} else if (exitCode === undefined) {
  console.error(Cause.pretty(exit.cause))
}
process.exit(exitCode ?? (Exit.isSuccess(exit) ? 0 : 1))
