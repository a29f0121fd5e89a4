/** The log of the builds of one table's indexes. */
import { Effect, Option, Ref, Schedule } from "effect"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import type { IndexEvent, IndexLock } from "../../services/TableIndexes.ts"

/** Until the next attempt while another builder of the same table, or a build that outlived its process, holds the lock. */
const BUSY_INTERVAL = "10 seconds"

/** Takes what happens to the indexes of one table. */
export interface IndexReports {
  readonly event: (event: IndexEvent) => Effect.Effect<void>
  /** Builds as soon as no other session does; a session that prevents it is logged once. */
  readonly whenUnlocked: <E>(
    waiting: ReadonlyArray<string>,
    build: Effect.Effect<Option.Option<IndexLock>, E>
  ) => Effect.Effect<void, E>
}

/** Logs the builds from now on; indexes that are left out are added to `leftOut`. */
export const indexReports = Effect.fnUntraced(function*(
  name: string,
  leftOut: Ref.Ref<ReadonlySet<string>>
): Effect.fn.Return<IndexReports> {
  const began = yield* elapsedMillis
  const isLockReported = yield* Ref.make(false)
  /** Server processes that a build waited for. */
  const reported = new Set<number>()
  const reportLock = Effect.fnUntraced(function*(waiting: ReadonlyArray<string>, lock: IndexLock) {
    if (lock.processId === undefined || (yield* Ref.getAndSet(isLockReported, true))) return
    yield* Effect.logWarning(log.indexesLocked(name, waiting, lock.name, lock.processId))
  })
  return {
    event: Effect.fnUntraced(function*(event) {
      if (event.kind === "queued") return
      if (event.kind === "waiting") {
        if (reported.has(event.processId)) return
        reported.add(event.processId)
        return yield* Effect.logWarning(log.indexWaits(name, event.processId))
      }
      const now = yield* elapsedMillis
      const isLeftOut = event.kind === "left out"
      if (isLeftOut) yield* Ref.update(leftOut, (names) => new Set([...names, event.name]))
      yield* (isLeftOut ? Effect.logWarning : Effect.logInfo)(log.indexEvent[event.kind](name, event, now - began))
    }),
    whenUnlocked: (waiting, build) =>
      build.pipe(
        Effect.tap(Option.match({ onNone: () => Effect.void, onSome: (lock) => reportLock(waiting, lock) })),
        Effect.repeat({ until: Option.isNone, schedule: Schedule.spaced(BUSY_INTERVAL) }),
        Effect.asVoid
      )
  }
})
