import { Cause, Deferred, Effect, FiberMap, Ref, Schedule, Semaphore, SubscriptionRef } from "effect"
import { backoff } from "../../domain/backoff.ts"
import * as log from "../../domain/logLines.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { SyncConfig } from "../../services/Config.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { TableSink } from "../../services/TableSink.ts"
import { type ActiveConfig, compareConfigs } from "../reload/ActiveConfig.ts"
import { buildIndexes } from "./buildIndexes.ts"
import { makeCopyBuffers } from "./CopyBuffers.ts"
import { superviseTable } from "./superviseTable.ts"
import { makeTableSession, type SharedByTables } from "./syncTable.ts"

/** A database that is down is waited for, asked again at most this long after the last time. */
const retrySchedule = backoff("1 second", "30 seconds")

/**
 * One fiber per table of the active config, all of them in the scope this runs in. What fails in one stays in it (I4);
 * the permits they share bound what all of them hold in memory together (I8).
 */
export const makeTableFibers = Effect.gen(function*() {
  const { maxConcurrentBatches } = yield* SyncConfig
  const status = yield* StatusRecorder
  const fibers = yield* FiberMap.make<string>()
  const shared: SharedByTables = {
    permits: yield* Semaphore.make(maxConcurrentBatches),
    buffers: makeCopyBuffers(maxConcurrentBatches),
    unreadableHeads: new Set()
  }
  const active = yield* SubscriptionRef.make<ActiveConfig | undefined>(undefined)
  const ofTables = Effect.flatMap(
    SubscriptionRef.get(active),
    (config) =>
      config === undefined ? Effect.die(new Error("a table was started without a config")) : Effect.succeed(config)
  )

  /** Invariant I3: the fiber that was there has come to its end, whatever it waited for, before another one may begin. */
  const stop = (name: string) => FiberMap.remove(fibers, name)

  /** Parked tables wait for a change of the config. */
  const parked = new Map<string, Ref.Ref<boolean>>()

  const start = Effect.fnUntraced(function*(table: TableSpec) {
    yield* status.record(table.name, { _tag: "Started" })
    const session = yield* makeTableSession(table, ofTables, shared)
    parked.set(table.name, session.isParked)
    yield* FiberMap.run(
      fibers,
      table.name,
      // The indexes are a child of the table's fiber: they end with it, and nothing that befalls them reaches it.
      Effect.andThen(
        Effect.forkChild(buildIndexes(table, Deferred.await(session.caughtUp), session.leftOutIndexes)),
        superviseTable(session)
      ).pipe(
        Effect.catchCause((cause) => Effect.andThen(Ref.set(session.isParked, true), reportCrash(table.name, cause))),
        Effect.interruptible
      )
    )
  })

  /**
   * Activates a config that is known to be good: tables that are the same go on in the middle of what they do, the others
   * come to their end before any new one begins. It may be run uninterruptibly: the fibers of tables are not. A parked table is tried again, whatever has changed: the reason may be gone.
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
    // Only now: an attempt that was still at work must not write for the dataset of the next config.
    yield* SubscriptionRef.set(active, next)
    for (const name of removed) {
      parked.delete(name)
      yield* Effect.logWarning(log.tableRemoved(name))
      yield* status.remove(name)
      yield* FiberMap.run(fibers, name, Effect.interruptible(retire(name)))
    }
    for (const table of [...changed, ...retried, ...started]) {
      // A table that comes back may still be losing its provisional rows.
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

/** What nobody promised goes with the table; the rest stays for whoever reads it. */
const retire = Effect.fnUntraced(function*(name: string) {
  const sink = yield* TableSink
  yield* sink.trim(name).pipe(
    Effect.retry(($) => $(retrySchedule).pipe(Schedule.while(({ input }) => isRetryable(input)))),
    Effect.flatMap((rows) => (rows > 0 ? Effect.logInfo(log.trimmed(name, rows)) : Effect.void)),
    Effect.catch((error) => Effect.logInfo(log.notTrimmed(name, error.message)))
  )
})

/** Invariant I4: even a mistake of ours ends one table only, and is seen. */
const reportCrash = Effect.fnUntraced(function*(name: string, cause: Cause.Cause<never>) {
  if (Cause.hasInterruptsOnly(cause)) return yield* Effect.failCause(cause)
  const status = yield* StatusRecorder
  const reason = Cause.pretty(cause).split("\n")[0] ?? "unknown"
  yield* Effect.logError(log.crashed(name, Cause.pretty(cause)))
  yield* status.record(name, { _tag: "Parked", reason })
})
