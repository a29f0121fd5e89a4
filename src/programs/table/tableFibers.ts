/** The fibers of all tables, started and stopped as the active config changes. */
import { Cause, Effect, FiberMap, Ref, Schedule, SubscriptionRef } from "effect"
import { backoff } from "../../domain/backoff.ts"
import * as log from "../../domain/logLines.ts"
import { aboutTable, inTarget } from "../../domain/logTargets.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { SyncConfig } from "../../services/Config.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { TableSink } from "../../services/TableSink.ts"
import { type ActiveConfig, compareConfigs, statusOf } from "../reload/ActiveConfig.ts"
import { buildIndexes } from "./buildIndexes.ts"
import { buildKeys, keysComplete } from "./buildKeys.ts"
import { makeCopyBuffers } from "./CopyBuffers.ts"
import { makeHeldMemory } from "./HeldMemory.ts"
import { makePermits } from "./Permits.ts"
import { makeStandby } from "./standby.ts"
import { superviseTable } from "./superviseTable.ts"
import { makeTableSession, type SharedByTables } from "./TableSession.ts"

/** For a database that is down. */
const retrySchedule = backoff("1 second", "30 seconds")

/**
 * One fiber per table of the active config, all of them in the scope this runs in. What fails in one stays in it (I4);
 * the permits they share bound what all of them hold in memory together (I8).
 */
export const makeTableFibers = Effect.gen(function*() {
  const { confirmationsMaxBytes, maxConcurrentBatches } = yield* SyncConfig
  const status = yield* StatusRecorder
  const fibers = yield* FiberMap.make<string>()
  const active = yield* SubscriptionRef.make<ActiveConfig | undefined>(undefined)
  const ofTables = Effect.flatMap(
    SubscriptionRef.get(active),
    (config) =>
      config === undefined ? Effect.die(new Error("a table was started without a config")) : Effect.succeed(config)
  )

  /** By table: whether it is parked, and so waits for a change of the config. */
  const parked = new Map<string, Ref.Ref<boolean>>()

  const shared: SharedByTables = {
    permits: yield* makePermits(maxConcurrentBatches),
    buffers: makeCopyBuffers(maxConcurrentBatches),
    held: makeHeldMemory(confirmationsMaxBytes),
    unreadableHeads: new Set(),
    awaited: yield* makeStandby(ofTables, (name) => {
      const isParked = parked.get(name)
      return isParked !== undefined && Ref.getUnsafe(isParked)
    })
  }
  yield* status.permits(shared.permits)

  /** Invariant I3: waits until the fiber of a table has ended, before another one may begin. */
  const stop = (name: string) => FiberMap.remove(fibers, name)

  const start = Effect.fnUntraced(function*(table: TableSpec) {
    const session = yield* makeTableSession(table, ofTables, shared)
    parked.set(table.name, session.isParked)
    yield* FiberMap.run(
      fibers,
      table.name,
      // The indexes are children of the table's fiber: they end with it, and their failures do not reach it.
      inBackground(table.name, buildKeys(session)).pipe(
        Effect.andThen(
          inBackground(table.name, buildIndexes(table, keysComplete(session), session.leftOutIndexes))
        ),
        Effect.andThen(superviseTable(session)),
        Effect.catchCause((cause) => Effect.andThen(Ref.set(session.isParked, true), reportCrash(table.name, cause))),
        Effect.interruptible,
        ofTable(table.name)
      )
    )
  })

  /**
   * Activates a config that was checked: unchanged tables are not interrupted, the others end before any new one begins. A
   * parked table is started again even if it is unchanged, because the reason may be gone. It may be run uninterruptibly:
   * the fibers of tables are not.
   */
  const apply = Effect.fn("applyConfig")(function*(next: ActiveConfig) {
    const before = yield* SubscriptionRef.get(active)
    const { changed, removed, started, unchanged } = compareConfigs(before, next)
    const retried = yield* Effect.filter(unchanged, ({ name }) => {
      const isParked = parked.get(name)
      return isParked === undefined ? Effect.succeed(false) : Ref.get(isParked)
    })
    const ending = [...removed, ...changed.map(({ name }) => name), ...retried.map(({ name }) => name)]
    yield* Effect.forEach(ending, stop, { concurrency: "unbounded", discard: true })
    // Only now: an attempt that was still running must not write for the dataset of the next config.
    yield* SubscriptionRef.set(active, next)
    yield* status.activated(statusOf(next))
    const starting = [...changed, ...retried, ...started]
    // Before any of them is waited for: what is known of a table is about the config before this one.
    for (const { name } of starting) yield* status.record(name, { _tag: "Started" })
    for (const name of removed) {
      parked.delete(name)
      yield* ofTable(name)(Effect.logWarning(log.tableRemoved(name)))
      yield* status.remove(name)
      yield* FiberMap.run(fibers, name, Effect.interruptible(ofTable(name)(retire(name))))
    }
    for (const table of starting) {
      // The provisional rows of a table that was removed and comes back may still be under deletion.
      yield* stop(table.name)
      yield* start(table)
    }
    return {
      unchanged: unchanged.length - retried.length,
      changed: changed.length,
      started: started.length,
      removed: removed.length,
      retried: retried.length
    }
  })

  return { active, apply }
})

/** Marks the lines of a table's fiber. */
const ofTable = (name: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  inTarget("ampsync::table")(aboutTable(name)(effect))

/** Builds indexes beside the sync; an internal error there is logged. */
const inBackground = <R>(name: string, build: Effect.Effect<void, never, R>) =>
  Effect.forkChild(
    Effect.tapCause(build, (cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(log.indexFailed(name, Cause.pretty(cause), false)))
  )

/** Deletes the provisional rows of a table that left the config; its complete rows stay. */
const retire = Effect.fnUntraced(function*(name: string) {
  const sink = yield* TableSink
  yield* sink.trim(name).pipe(
    Effect.retry(($) => $(retrySchedule).pipe(Schedule.while(({ input }) => isRetryable(input)))),
    Effect.flatMap((rows) => (rows > 0 ? Effect.logInfo(log.trimmed(name, rows)) : Effect.void)),
    Effect.catch((error) => Effect.logInfo(log.notTrimmed(name, error.message))),
    // Nobody awaits this fiber.
    Effect.tapCause((cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(log.notTrimmed(name, Cause.pretty(cause)))
    )
  )
})

/** Invariant I4: even an internal error ends one table only; it is logged. */
const reportCrash = Effect.fnUntraced(function*(name: string, cause: Cause.Cause<never>) {
  if (Cause.hasInterruptsOnly(cause)) return yield* Effect.failCause(cause)
  const status = yield* StatusRecorder
  const reason = Cause.pretty(cause).split("\n")[0] ?? "unknown"
  yield* Effect.logError(log.crashed(name, Cause.pretty(cause)))
  yield* status.record(name, { _tag: "Parked", reason })
})
