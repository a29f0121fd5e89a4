import { Clock, Effect, Option, Ref, Schedule } from "effect"
import { backoff } from "../../domain/backoff.ts"
import * as log from "../../domain/logLines.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { indexName } from "../../domain/postgres/table/tableIndexes.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { type IndexEvent, type IndexLock, TableIndexes } from "../../services/TableIndexes.ts"

/** Another builder of the same table, or a build that outlived its process, is waited for. */
const BUSY = "10 seconds"

const patience = backoff("1 second", "60 seconds")

/**
 * Gives a table its indexes once it has caught up: before, every row would pay for them, and their build for every row.
 *
 * It runs beside the sync and cannot disturb it: what fails here is said, and tried again where that may help. Those in
 * `leftOut`, by their names, are not built, and those that rows have no room in are added to it.
 */
export const buildIndexes = Effect.fn("buildIndexes")(function*(
  { name, settings }: TableSpec,
  caughtUp: Effect.Effect<void>,
  leftOut: Ref.Ref<ReadonlySet<string>>
) {
  const indexes = yield* TableIndexes
  yield* caughtUp
  const told = yield* Ref.make(false)
  const reportedLock = yield* Ref.make(false)
  const work = Effect.gen(function*() {
    const without = yield* Ref.get(leftOut)
    const wanted = settings.indexes.filter((columns) => !without.has(indexName(name, columns)))
    const { broken, missing, superfluous } = yield* indexes.plan(name, wanted)
    if (!(yield* Ref.getAndSet(told, true))) {
      for (const index of superfluous) yield* Effect.logInfo(log.indexNotConfigured(name, index.name))
    }
    if (broken.length === 0 && missing.length === 0) return
    const began = yield* Clock.currentTimeMillis
    const report = Effect.fnUntraced(function*(event: IndexEvent) {
      const now = yield* Clock.currentTimeMillis
      const isLeftOut = event.kind === "left out"
      if (isLeftOut) yield* Ref.update(leftOut, (names) => new Set([...names, event.name]))
      yield* (isLeftOut ? Effect.logWarning : Effect.logInfo)(log.indexEvent[event.kind](name, event, now - began))
    })
    const waiting = [...broken, ...missing.map((index) => index.name)]
    const reportLock = Effect.fnUntraced(function*(lock: IndexLock) {
      if (lock.processId === undefined || (yield* Ref.getAndSet(reportedLock, true))) return
      yield* Effect.logWarning(log.indexesLocked(name, waiting, lock.name, lock.processId))
    })
    const built = Effect.tap(
      indexes.build(name, wanted, report),
      Option.match({ onNone: () => Effect.void, onSome: reportLock })
    )
    yield* Effect.repeat(built, { until: Option.isNone, schedule: Schedule.spaced(BUSY) })
  })
  yield* work.pipe(
    Effect.tapError((error) => Effect.logWarning(log.indexFailed(name, error.message, isRetryable(error)))),
    Effect.retry(($) => $(patience).pipe(Schedule.while(({ input }) => isRetryable(input)))),
    Effect.ignore
  )
}, (effect, { name }) => Effect.annotateLogs(effect, { table: name }))
