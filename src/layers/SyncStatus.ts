/** The state of the tables in memory. */
import { Clock, Context, Effect, Layer, Ref, SubscriptionRef } from "effect"
import { initialStatus, nextStatus, type StatusEvent, type TableStatus } from "../domain/TableStatus.ts"
import { type ActiveConfigStatus, type ReloadStatus, StatusRecorder, SyncStatus } from "../services/SyncStatus.ts"

type Tables = ReadonlyMap<string, TableStatus>

/** `SyncStatus` and `StatusRecorder` on one state in memory. */
const make = Effect.gen(function*() {
  const tables = yield* SubscriptionRef.make<Tables>(new Map())
  const reload = yield* Ref.make<ReloadStatus | undefined>(undefined)

  const config = yield* Ref.make<ActiveConfigStatus | undefined>(undefined)
  const heartbeatAtMillis = yield* Ref.make<number | undefined>(undefined)

  const after = (all: Tables, table: string, event: StatusEvent, atMillis: number): TableStatus =>
    nextStatus(all.get(table) ?? initialStatus(table, atMillis), event, atMillis)

  const update = (next: (all: Tables, atMillis: number) => Tables) =>
    Effect.flatMap(Clock.currentTimeMillis, (atMillis) => SubscriptionRef.update(tables, (all) => next(all, atMillis)))

  const status = SyncStatus.of({
    get: SubscriptionRef.get(tables),
    changes: SubscriptionRef.changes(tables),
    reload: Ref.get(reload),
    config: Ref.get(config),
    heartbeatAtMillis: Ref.get(heartbeatAtMillis)
  })
  const recorder = StatusRecorder.of({
    begin: (names) => update((_, atMillis) => new Map(names.map((name) => [name, initialStatus(name, atMillis)]))),
    record: (table, event) => update((all, atMillis) => new Map(all).set(table, after(all, table, event, atMillis))),
    remove: (table) => SubscriptionRef.update(tables, (all) => new Map([...all].filter(([name]) => name !== table))),
    parkAll: (reason) =>
      update((all, atMillis) =>
        new Map([...all.keys()].map((name) => [name, after(all, name, { _tag: "Parked", reason }, atMillis)]))
      ),
    activated: (next) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (atMillis) => Ref.set(config, next === undefined ? undefined : { ...next, atMillis })
      ),
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
