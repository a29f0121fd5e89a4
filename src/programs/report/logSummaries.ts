/**
 * Logs at INFO what the tables do, where no terminal shows it: each minute a line per table, so that a log without errors is
 * not empty, and in between how long it takes until tables have caught up.
 */
import { Effect, Schedule } from "effect"
import type { Progress } from "../../domain/display/progressView.ts"
import { longestWay } from "../../domain/display/TableProgress.ts"
import * as log from "../../domain/logLines.ts"
import { aboutTable, inTarget } from "../../domain/logTargets.ts"
import type { TableStatus } from "../../domain/TableStatus.ts"
import { Screen } from "../../services/Screen.ts"
import { SyncStatus } from "../../services/SyncStatus.ts"
import { makeProgressReader } from "./readProgress.ts"

/** Of the pace of tables. */
const SAMPLE_INTERVAL = "1 second"
const PROGRESS_SECONDS = 10
const SUMMARY_SECONDS = 60
/** More tables that are catching up share one line. */
const MOST_LINES = 5

/** Logs in the background for as long as the scope is open; nothing where the progress is shown on a terminal. */
export const logSummaries = Effect.gen(function*() {
  if ((yield* Screen).isInteractive) return
  const status = yield* SyncStatus
  const read = yield* makeProgressReader
  let seconds = 0
  let before: ReadonlyMap<string, TableStatus> = yield* status.get
  const summarize = Effect.gen(function*() {
    const now = yield* status.get
    for (const [table, current] of now) {
      const earlier = before.get(table)
      yield* aboutTable(table)(
        Effect.logInfo(log.lastMinute(
          current,
          current.rowsCommitted - (earlier?.rowsCommitted ?? 0),
          current.blocksCommitted - (earlier?.blocksCommitted ?? 0n)
        ))
      )
    }
    before = now
  })
  const tick = Effect.gen(function*() {
    seconds += 1
    const progress = yield* read
    // The summary of a table has what its progress would repeat.
    if (seconds % SUMMARY_SECONDS === 0) yield* summarize
    else if (seconds % PROGRESS_SECONDS === 0) yield* logProgress(progress)
  })
  yield* Effect.forkScoped(
    Effect.repeat(Effect.delay(inTarget("ampsync::report")(tick), SAMPLE_INTERVAL), Schedule.forever)
  )
})

const logProgress = Effect.fnUntraced(function*({ all, tables }: Omit<Progress, "heading">) {
  const catchingUp = tables.filter(({ status }) => status.phase === "catching up")
  if (catchingUp.length > MOST_LINES) {
    yield* Effect.logInfo(log.tablesCatchingUp(catchingUp.length, tables.length, { ...all, ...longestWay(catchingUp) }))
    return
  }
  for (const { status, ...figures } of catchingUp) {
    yield* aboutTable(status.table)(Effect.logInfo(log.catchingUp(status.table, figures)))
  }
})
