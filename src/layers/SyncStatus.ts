/** The state of the tables in memory. */
import { Clock, Context, Effect, Layer, Ref, SubscriptionRef } from "effect"
import { type LastReorg, nextReorgs } from "../domain/lastReorgs.ts"
import type { StatusEvent } from "../domain/StatusEvent.ts"
import { initialStatus, nextStatus, type TableStatus } from "../domain/TableStatus.ts"
import { noThroughput, Throughput } from "../domain/Throughput.ts"
import {
  type ActiveConfigStatus,
  type PermitsInUse,
  type ReloadStatus,
  StatusRecorder,
  SyncStatus,
  type SyncThroughput
} from "../services/SyncStatus.ts"

type Tables = ReadonlyMap<string, TableStatus>

/** `SyncStatus` and `StatusRecorder` on one state in memory. */
const make = Effect.gen(function*() {
  const tables = yield* SubscriptionRef.make<Tables>(new Map())
  const startedAtMillis = yield* Clock.currentTimeMillis
  const all = new Throughput(startedAtMillis)
  const throughputs = new Map<string, Throughput>()
  let lastReorgs: ReadonlyArray<LastReorg> = []
  const permits = yield* Ref.make<PermitsInUse | undefined>(undefined)
  const reload = yield* Ref.make<ReloadStatus | undefined>(undefined)

  const config = yield* Ref.make<ActiveConfigStatus | undefined>(undefined)
  const heartbeatAtMillis = yield* Ref.make<number | undefined>(undefined)

  const after = (all: Tables, table: string, event: StatusEvent, atMillis: number): TableStatus =>
    nextStatus(all.get(table) ?? initialStatus(table, atMillis), event, atMillis)

  const addThroughput = (table: string, event: StatusEvent, atMillis: number): void => {
    if (event._tag !== "Committed" || event.rowsAdded === 0) return
    const ofTable = throughputs.get(table) ?? new Throughput(startedAtMillis)
    throughputs.set(table, ofTable)
    for (const one of [all, ofTable]) one.add(event.rowsAdded, event.bytes, atMillis)
  }

  const throughput = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const names = [...(yield* SubscriptionRef.get(tables)).keys()]
    const report: SyncThroughput = {
      all: all.report(now),
      tables: new Map(names.map((name) => [name, throughputs.get(name)?.report(now) ?? noThroughput]))
    }
    return report
  })

  const update = (next: (all: Tables, atMillis: number) => Tables) =>
    Effect.flatMap(Clock.currentTimeMillis, (atMillis) => SubscriptionRef.update(tables, (all) => next(all, atMillis)))

  const status = SyncStatus.of({
    get: SubscriptionRef.get(tables),
    changes: SubscriptionRef.changes(tables),
    reload: Ref.get(reload),
    config: Ref.get(config),
    heartbeatAtMillis: Ref.get(heartbeatAtMillis),
    throughput,
    lastReorgs: Effect.sync(() => lastReorgs),
    permits: Effect.map(
      Ref.get(permits),
      (counted) => counted === undefined ? undefined : { total: counted.total, inUse: counted.inUse() }
    ),
    startedAtMillis
  })
  const recorder = StatusRecorder.of({
    begin: (names) =>
      update((_, atMillis) => {
        throughputs.clear()
        return new Map(names.map((name) => [name, initialStatus(name, atMillis)]))
      }),
    record: (table, event) =>
      update((before, atMillis) => {
        addThroughput(table, event, atMillis)
        lastReorgs = nextReorgs(lastReorgs, table, event, atMillis)
        return new Map(before).set(table, after(before, table, event, atMillis))
      }),
    remove: (table) =>
      SubscriptionRef.update(tables, (before) => {
        throughputs.delete(table)
        return new Map([...before].filter(([name]) => name !== table))
      }),
    parkAll: (reason) =>
      update((before, atMillis) =>
        new Map([...before.keys()].map((name) => [name, after(before, name, { _tag: "Parked", reason }, atMillis)]))
      ),
    activated: (next) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (atMillis) => Ref.set(config, next === undefined ? undefined : { ...next, atMillis })
      ),
    permits: (counted) => Ref.set(permits, counted),
    heartbeat: Effect.flatMap(Clock.currentTimeMillis, (atMillis) => Ref.set(heartbeatAtMillis, atMillis)),
    reloaded: (reason) =>
      Effect.flatMap(Clock.currentTimeMillis, (atMillis) =>
        Ref.update(reload, (last): ReloadStatus => ({
          outcome: reason === undefined ? "applied" : "failed",
          atMillis,
          reason,
          applied: (last?.applied ?? 0) + (reason === undefined ? 1 : 0),
          failed: (last?.failed ?? 0) + (reason === undefined ? 0 : 1)
        })))
  })
  return Context.make(SyncStatus, status).pipe(Context.add(StatusRecorder, recorder))
})

export const layer: Layer.Layer<StatusRecorder | SyncStatus> = Layer.effectContext(make)
