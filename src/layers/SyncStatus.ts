/** The state of the tables in memory. */
import { Clock, Context, Effect, Layer, Ref, SubscriptionRef } from "effect"
import { type LastReorg, nextReorgs } from "../domain/lastReorgs.ts"
import type { StatusEvent } from "../domain/StatusEvent.ts"
import { initialStatus, nextStatus, type TableStatus } from "../domain/TableStatus.ts"
import {
  type ActiveConfigStatus,
  type PermitsInUse,
  type ReloadStatus,
  StatusRecorder,
  SyncStatus
} from "../services/SyncStatus.ts"
import { StatusMetrics } from "./sync-status/StatusMetrics.ts"
import { TableChanges } from "./sync-status/TableChanges.ts"
import { Throughputs } from "./sync-status/Throughputs.ts"

type Tables = ReadonlyMap<string, TableStatus>

/** `SyncStatus` and `StatusRecorder` on one state in memory, which is also what the metrics are read from. */
const make = Effect.gen(function*() {
  const tables = yield* SubscriptionRef.make<Tables>(new Map())
  const startedAtMillis = yield* Clock.currentTimeMillis
  const throughputs = new Throughputs(startedAtMillis)
  let lastReorgs: ReadonlyArray<LastReorg> = []
  const tableChanges = yield* Effect.acquireRelease(
    Effect.sync(() => new TableChanges()),
    (changes) => Effect.sync(() => changes.end())
  )
  const permits = yield* Ref.make<PermitsInUse | undefined>(undefined)
  const reload = yield* Ref.make<ReloadStatus | undefined>(undefined)
  const config = yield* Ref.make<ActiveConfigStatus | undefined>(undefined)
  const heartbeatAtMillis = yield* Ref.make<number | undefined>(undefined)

  const metrics = yield* Effect.acquireRelease(
    Effect.map(Effect.context<never>(), (context) =>
      new StatusMetrics(context, {
        startedAtMillis,
        get tables() {
          return SubscriptionRef.getUnsafe(tables)
        },
        get config() {
          return Ref.getUnsafe(config)
        },
        get heartbeatAtMillis() {
          return Ref.getUnsafe(heartbeatAtMillis)
        },
        get reload() {
          return Ref.getUnsafe(reload)
        },
        get permits() {
          return Ref.getUnsafe(permits)
        }
      })),
    (series) => Effect.sync(() => series.remove())
  )

  const status = SyncStatus.of({
    get: SubscriptionRef.get(tables),
    changes: SubscriptionRef.changes(tables),
    tableChanges: tableChanges.stream,
    reload: Ref.get(reload),
    config: Ref.get(config),
    heartbeatAtMillis: Ref.get(heartbeatAtMillis),
    throughput: Effect.gen(function*() {
      return throughputs.report([...(yield* SubscriptionRef.get(tables)).keys()], yield* Clock.currentTimeMillis)
    }),
    lastReorgs: Effect.sync(() => lastReorgs),
    permits: Effect.map(
      Ref.get(permits),
      (counted) => counted === undefined ? undefined : { total: counted.total, inUse: counted.inUse() }
    ),
    startedAtMillis
  })

  const after = (before: Tables, table: string, event: StatusEvent, atMillis: number): TableStatus =>
    nextStatus(before.get(table) ?? initialStatus(table, atMillis), event, atMillis)

  const updateTables = (next: (before: Tables, atMillis: number) => Tables) =>
    Effect.gen(function*() {
      const atMillis = yield* Clock.currentTimeMillis
      yield* SubscriptionRef.update(tables, (before) => next(before, atMillis))
      throughputs.retain(SubscriptionRef.getUnsafe(tables))
      tableChanges.retain(SubscriptionRef.getUnsafe(tables))
      metrics.updateTables()
      return atMillis
    })

  const update = (next: (atMillis: number) => Effect.Effect<void>) =>
    Clock.currentTimeMillis.pipe(Effect.flatMap(next), Effect.andThen(Effect.sync(() => metrics.update())))

  const recorder = StatusRecorder.of({
    begin: (names) =>
      Effect.asVoid(
        updateTables((_, atMillis) => new Map(names.map((name) => [name, initialStatus(name, atMillis)])))
      ),
    record: (table, event) =>
      Effect.map(
        updateTables((before, atMillis) => new Map(before).set(table, after(before, table, event, atMillis))),
        (atMillis) => {
          throughputs.observe(table, event, atMillis)
          lastReorgs = nextReorgs(lastReorgs, table, event, atMillis)
          metrics.observe(table, event)
          tableChanges.observe(table, event)
        }
      ),
    remove: (table) => Effect.asVoid(updateTables((before) => new Map([...before].filter(([name]) => name !== table)))),
    parkAll: (reason) =>
      Effect.asVoid(
        updateTables((before, atMillis) =>
          new Map([...before.keys()].map((name) => [name, after(before, name, { _tag: "Parked", reason }, atMillis)]))
        )
      ),
    activated: (next) => update((atMillis) => Ref.set(config, next === undefined ? undefined : { ...next, atMillis })),
    permits: (counted) => update(() => Ref.set(permits, counted)),
    heartbeat: update((atMillis) => Ref.set(heartbeatAtMillis, atMillis)),
    reloaded: (reason) => update((atMillis) => Ref.update(reload, (last) => nextReload(last, reason, atMillis))),
    reloadStillFails: (reason) =>
      update(() => Ref.update(reload, (last) => last?.outcome === "failed" ? { ...last, reason } : last))
  })
  return Context.make(SyncStatus, status).pipe(Context.add(StatusRecorder, recorder))
})

const nextReload = (last: ReloadStatus | undefined, reason: string | undefined, atMillis: number): ReloadStatus => ({
  outcome: reason === undefined ? "applied" : "failed",
  atMillis,
  reason,
  applied: (last?.applied ?? 0) + (reason === undefined ? 1 : 0),
  failed: (last?.failed ?? 0) + (reason === undefined ? 0 : 1)
})

/** Registers `ampsync_*` metrics with the metric registry of the program, for as long as the layer lives. */
export const layer: Layer.Layer<StatusRecorder | SyncStatus> = Layer.effectContext(make)
