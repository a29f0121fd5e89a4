/** The next commit of one table. */
import { Effect, Schedule } from "effect"
import { SyncStatus } from "../../services/SyncStatus.ts"

/** Between two checks whether a chunk was committed. */
export const COMMIT_POLL = "5 seconds"

/**
 * Waits until a complete range of the table is committed. A database that loses its last transactions, as a promoted replica
 * does, loses what was done before this together with the range, and the chunk after it notices that.
 */
export const nextCommit = Effect.fnUntraced(function*(table: string) {
  const status = yield* SyncStatus
  const movedAt = Effect.map(status.get, (all) => all.get(table)?.watermarkMovedAtMillis)
  const before = yield* movedAt
  yield* Effect.repeat(movedAt, { until: (now) => now !== before, schedule: Schedule.spaced(COMMIT_POLL) })
})
