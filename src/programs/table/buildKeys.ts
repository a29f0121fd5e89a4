/** Builds, in the background, the keys that a table was created without. */
import { Deferred, Effect, Fiber, Option, Schedule, Stream, SubscriptionRef } from "effect"
import type { SqlError } from "effect/sql"
import { backoff } from "../../domain/backoff.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import { aboutTable } from "../../domain/logTargets.ts"
import { deferredIndexes } from "../../domain/postgres/table/deferredIndexes.ts"
import type { TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { type IndexEvent, TableIndexes, type WhileAtRest } from "../../services/TableIndexes.ts"
import type { TableRejected } from "../../services/TableLeases.ts"
import { indexReports } from "./indexReports.ts"
import { COMMIT_POLL, nextCommit } from "./nextCommit.ts"
import type { TableSession } from "./TableSession.ts"

/** While a table has no keys, a rewind must scan all blocks that were written since the last BRIN summary. */
const SUMMARY_INTERVAL = "60 seconds"

const retrySchedule = backoff("1 second", "60 seconds")

/**
 * Builds the keys of a table once it has caught up, each time one was created without them; until then keeps its deletions
 * cheap. Never ends; does nothing while another process writes the table, or while it is parked.
 *
 * It runs beside the sync, which waits with its next chunk while an index is built. A failure is logged and tried again; where
 * the keys are impossible, the sync of the table ends.
 */
export const buildKeys = Effect.fn("buildKeys")(function*(session: TableSession) {
  const { caughtUp, deferred, isWriter, table: { name } } = session
  const summaries = yield* Effect.forkChild(summarize(name, deferred))
  yield* Deferred.await(caughtUp)
  yield* Fiber.interrupt(summaries)
  const keys = Effect.forever(
    Effect.flatMap(
      nextDefinition(deferred),
      (definition) => Effect.andThen(buildKeysOf(session, definition), untilLost(session, definition))
    )
  )
  // The lock of a build would keep another process from writing.
  yield* SubscriptionRef.changes(isWriter).pipe(
    Stream.changes,
    Stream.switchMap((mayBuild) => mayBuild ? Stream.fromEffectDrain(keys) : Stream.empty),
    Stream.runDrain
  )
}, (effect, { table: { name } }) => aboutTable(name)(effect))

/** Emits each time that the table, once it has caught up, is opened with its keys or gets them. */
export const keysComplete = ({ caughtUp, deferred }: TableSession): Stream.Stream<void> =>
  Stream.fromEffect(Deferred.await(caughtUp)).pipe(
    Stream.flatMap(() => SubscriptionRef.changes(deferred)),
    Stream.filter((definition) => definition === undefined)
  )

/** Waits until the table is one without keys. */
const nextDefinition = (deferred: TableSession["deferred"]): Effect.Effect<TableDefinition> =>
  SubscriptionRef.changes(deferred).pipe(
    Stream.filter((definition) => definition !== undefined),
    Stream.runHead,
    Effect.map(Option.getOrThrow)
  )

/** Waits until the table turns out to be one without keys again: a promoted replica may have lost the keys although it lost no chunk. */
const untilLost = Effect.fnUntraced(
  function*({ deferred, table: { name } }: TableSession, definition: TableDefinition) {
    const [indexes, recorder] = [yield* TableIndexes, yield* StatusRecorder]
    const check = Effect.gen(function*() {
      yield* nextCommit(name)
      const answer = Effect.option(indexes.lacksKeys(name))
      const found = yield* Effect.repeat(answer, { until: Option.isSome, schedule: Schedule.spaced(COMMIT_POLL) })
      if (!Option.contains(found, true)) return yield* Effect.never
      yield* Effect.logWarning(log.keysLost(name))
      yield* recorder.record(name, { _tag: "KeysLost" })
      yield* SubscriptionRef.set(deferred, definition)
    })
    yield* Effect.raceFirst(Effect.asVoid(nextDefinition(deferred)), check)
  }
)

const OTHERS_FIRST = "the indexes of other tables are being built first"
const waitsFor = (processId: number): string =>
  `the build of its indexes waits for the transaction of server process ${processId}`

const summarize = Effect.fnUntraced(function*(name: string, deferred: TableSession["deferred"]) {
  const indexes = yield* TableIndexes
  yield* nextDefinition(deferred)
  yield* Effect.repeat(Effect.ignore(indexes.summarize(name)), Schedule.spaced(SUMMARY_INTERVAL))
})

const buildKeysOf = Effect.fnUntraced(function*(session: TableSession, definition: TableDefinition) {
  const [indexes, status] = [yield* TableIndexes, yield* StatusRecorder]
  const { deferred, impossibleKeys, leftOutIndexes, table: { name }, turn } = session
  const reports = yield* indexReports(name, leftOutIndexes)
  const waiting = deferredIndexes(definition).map((index) => index.name)
  const mayHeal = (error: SqlError.SqlError | TableRejected) => error._tag !== "TableRejected"
  const waits = (reason: string | undefined) => status.record(name, { _tag: "BuildWaits", reason })
  const report = (event: IndexEvent) => {
    switch (event.kind) {
      case "queued":
        return waits(OTHERS_FIRST)
      case "waiting":
        return Effect.andThen(waits(waitsFor(event.processId)), reports.event(event))
      case "building":
        return Effect.andThen(waits(undefined), Effect.logInfo(log.buildingKeys(name, event.name)))
      default:
        return reports.event(event)
    }
  }
  let restedMillis = 0
  const whileAtRest: WhileAtRest = (build) =>
    turn.build(Effect.acquireUseRelease(
      Effect.andThen(status.record(name, { _tag: "BuildBegan" }), elapsedMillis),
      () => build,
      (began) =>
        Effect.flatMap(elapsedMillis, (now) => {
          restedMillis = now - began
          return status.record(name, { _tag: "BuildEnded" })
        })
    ))
  yield* reports.whenUnlocked(waiting, indexes.buildDeferred(definition, whileAtRest, report)).pipe(
    Effect.tapError((error) => {
      const rested = restedMillis
      restedMillis = 0
      if (!mayHeal(error)) return Effect.void
      // The rows of a table whose build takes long and fails must come in as well.
      return Effect.andThen(Effect.logWarning(log.indexFailed(name, error.message, true)), Effect.sleep(rested))
    }),
    Effect.retry(($) => $(retrySchedule).pipe(Schedule.while(({ input }) => mayHeal(input)))),
    Effect.matchEffect({
      onFailure: (error) =>
        error._tag === "TableRejected"
          ? Effect.andThen(Deferred.fail(impossibleKeys, error), Effect.never)
          : Effect.die(error),
      onSuccess: () =>
        SubscriptionRef.set(deferred, undefined).pipe(
          Effect.andThen(status.record(name, { _tag: "KeysBuilt" })),
          Effect.andThen(Effect.logInfo(log.keysBuilt(name)))
        )
    })
  )
})
