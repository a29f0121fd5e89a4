/** Logs once a minute at INFO what each table did, so that a log without errors is not empty. */
import { Effect, Schedule } from "effect"
import * as log from "../../domain/logLines.ts"
import { aboutTable, inTarget } from "../../domain/logTargets.ts"
import type { TableStatus } from "../../domain/TableStatus.ts"
import { SyncStatus } from "../../services/SyncStatus.ts"

const INTERVAL = "1 minute"

/** Logs a line per table and minute, in the background for as long as the scope is open. */
export const logSummaries = Effect.gen(function*() {
  const status = yield* SyncStatus
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
  yield* Effect.forkScoped(
    Effect.repeat(Effect.delay(inTarget("ampsync::report")(summarize), INTERVAL), Schedule.forever)
  )
})
