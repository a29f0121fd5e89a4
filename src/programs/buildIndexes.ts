import { Clock, Effect, Ref, Schedule } from "effect"
import { backoff } from "../domain/backoff.ts"
import type { TableSpec } from "../domain/TableSpec.ts"
import { type IndexEvent, TableIndexes } from "../services/TableIndexes.ts"
import * as log from "./logLines.ts"

/** Another builder of the same table, or a build that outlived its process, is waited for. */
const BUSY = "10 seconds"

const patience = backoff("1 second", "60 seconds")

/**
 * Gives a table its indexes once it has caught up: before, every row would pay for them, and their build for every row.
 *
 * It runs beside the sync and cannot disturb it: what fails here is said, and tried again where that may help.
 */
export const buildIndexes = Effect.fn("buildIndexes")(function*(
  { name, settings }: TableSpec,
  caughtUp: Effect.Effect<void>
) {
  const indexes = yield* TableIndexes
  yield* caughtUp
  const told = yield* Ref.make(false)
  const work = Effect.gen(function*() {
    const { broken, missing, superfluous } = yield* indexes.plan(name, settings.indexes)
    if (!(yield* Ref.getAndSet(told, true))) {
      for (const index of superfluous) yield* Effect.logInfo(log.indexNotConfigured(name, index.name))
    }
    if (broken.length === 0 && missing.length === 0) return
    const began = yield* Clock.currentTimeMillis
    const report = ({ kind, name: index }: IndexEvent) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.logInfo(log.indexEvent[kind](name, index, now - began)))
    const built = indexes.build(name, settings.indexes, report)
    yield* Effect.repeat(built, { until: (done) => done, schedule: Schedule.spaced(BUSY) })
  })
  yield* work.pipe(
    Effect.tapError((error) => Effect.logWarning(log.indexFailed(name, error.message, error.isRetryable))),
    Effect.retry(($) => $(patience).pipe(Schedule.while(({ input }) => input.isRetryable))),
    Effect.ignore
  )
}, (effect, { name }) => Effect.annotateLogs(effect, { table: name }))
