/** Builds the configured indexes of one table in the background. */
import { Effect, Option, Ref, Schedule } from "effect"
import { backoff } from "../../domain/backoff.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import { aboutTable } from "../../domain/logTargets.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { indexName } from "../../domain/postgres/table/tableIndexes.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { type IndexEvent, type IndexLock, TableIndexes } from "../../services/TableIndexes.ts"

/** Until the next attempt while another builder of the same table, or a build that outlived its process, holds the lock. */
const BUSY_INTERVAL = "10 seconds"

const retrySchedule = backoff("1 second", "60 seconds")

/**
 * Builds the indexes of a table once it has caught up: before, every insert would update them.
 *
 * It runs beside the sync and cannot disturb it: a failure is logged, and retried where that may help. Indexes whose names are
 * in `leftOut` are not built; those in which a row has no room are added to it.
 */
export const buildIndexes = Effect.fn("buildIndexes")(function*(
  { name, settings }: TableSpec,
  caughtUp: Effect.Effect<void>,
  leftOut: Ref.Ref<ReadonlySet<string>>
) {
  const indexes = yield* TableIndexes
  yield* caughtUp
  const isReported = yield* Ref.make(false)
  const isLockReported = yield* Ref.make(false)
  const work = Effect.gen(function*() {
    const without = yield* Ref.get(leftOut)
    const wanted = settings.indexes.filter((columns) => !without.has(indexName(name, columns)))
    const { broken, missing, superfluous } = yield* indexes.plan(name, wanted)
    if (!(yield* Ref.getAndSet(isReported, true))) {
      for (const index of superfluous) yield* Effect.logInfo(log.indexNotConfigured(name, index.name))
    }
    if (broken.length === 0 && missing.length === 0) return
    const began = yield* elapsedMillis
    const report = Effect.fnUntraced(function*(event: IndexEvent) {
      const now = yield* elapsedMillis
      const isLeftOut = event.kind === "left out"
      if (isLeftOut) yield* Ref.update(leftOut, (names) => new Set([...names, event.name]))
      yield* (isLeftOut ? Effect.logWarning : Effect.logInfo)(log.indexEvent[event.kind](name, event, now - began))
    })
    const waiting = [...broken, ...missing.map((index) => index.name)]
    const reportLock = Effect.fnUntraced(function*(lock: IndexLock) {
      if (lock.processId === undefined || (yield* Ref.getAndSet(isLockReported, true))) return
      yield* Effect.logWarning(log.indexesLocked(name, waiting, lock.name, lock.processId))
    })
    const built = Effect.tap(
      indexes.build(name, wanted, report),
      Option.match({ onNone: () => Effect.void, onSome: reportLock })
    )
    yield* Effect.repeat(built, { until: Option.isNone, schedule: Schedule.spaced(BUSY_INTERVAL) })
  })
  yield* work.pipe(
    Effect.tapError((error) => Effect.logWarning(log.indexFailed(name, error.message, isRetryable(error)))),
    Effect.retry(($) => $(retrySchedule).pipe(Schedule.while(({ input }) => isRetryable(input)))),
    Effect.ignore
  )
}, (effect, { name }) => aboutTable(name)(effect))
