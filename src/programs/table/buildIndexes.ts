/** Builds the configured indexes of one table in the background. */
import { Effect, Ref, Schedule, Stream } from "effect"
import { backoff } from "../../domain/backoff.ts"
import * as log from "../../domain/logLines.ts"
import { aboutTable } from "../../domain/logTargets.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { indexName } from "../../domain/postgres/table/tableIndexes.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { TableIndexes } from "../../services/TableIndexes.ts"
import { indexReports } from "./indexReports.ts"
import { nextCommit } from "./nextCommit.ts"

const retrySchedule = backoff("1 second", "60 seconds")

/**
 * Builds the indexes of a table once it has caught up: before, every insert would update them. `complete` emits each time that the
 * table is one with its keys.
 *
 * It runs beside the sync and cannot disturb it: a failure is logged, and retried where that may help; it ends where that cannot
 * help. What the table lost is built again: with a table that somebody dropped, or with the last transactions of a server. Indexes
 * whose names are in `leftOut` are not built; those in which a row has no room are added to it.
 */
export const buildIndexes = Effect.fn("buildIndexes")(function*(
  { name, settings }: TableSpec,
  complete: Stream.Stream<void>,
  leftOut: Ref.Ref<ReadonlySet<string>>
) {
  const indexes = yield* TableIndexes
  const isReported = yield* Ref.make(false)
  /** Succeeds with whether anything was missing. */
  const buildMissing = Effect.gen(function*() {
    const reports = yield* indexReports(name, leftOut)
    return yield* Effect.gen(function*() {
      const without = yield* Ref.get(leftOut)
      const wanted = settings.indexes.filter((columns) => !without.has(indexName(name, columns)))
      const { broken, missing, superfluous } = yield* indexes.plan(name, wanted)
      if (!(yield* Ref.getAndSet(isReported, true))) {
        for (const index of superfluous) yield* Effect.logInfo(log.indexNotConfigured(name, index.name))
      }
      if (broken.length === 0 && missing.length === 0) return false
      const waiting = [...broken, ...missing.map((index) => index.name)]
      yield* reports.whenUnlocked(waiting, indexes.build(name, wanted, reports.event))
      return true
    }).pipe(
      Effect.tapError((error) => Effect.logWarning(log.indexFailed(name, error.message, isRetryable(error)))),
      Effect.retry(($) => $(retrySchedule).pipe(Schedule.while(({ input }) => isRetryable(input))))
    )
  })
  // A failover may lose the last index that was built and keep every chunk.
  const buildAll = Effect.gen(function*() {
    while (yield* buildMissing) yield* nextCommit(name)
  })
  yield* complete.pipe(
    Stream.buffer({ capacity: 1, strategy: "sliding" }),
    Stream.runForEach(() => buildAll),
    Effect.ignore
  )
}, (effect, { name }) => aboutTable(name)(effect))
