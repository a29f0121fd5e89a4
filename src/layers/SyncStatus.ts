import { Clock, Effect, Layer, Ref, SubscriptionRef } from "effect"
import { initialStatus, nextStatus, type TableStatus } from "../domain/TableStatus.ts"
import type { ReloadStatus } from "../services/SyncStatus.ts"
import { SyncStatus } from "../services/SyncStatus.ts"

/** `SyncStatus` in memory. */
const make = Effect.gen(function*() {
  const tables = yield* SubscriptionRef.make<ReadonlyMap<string, TableStatus>>(new Map())
  const reload = yield* Ref.make<ReloadStatus | undefined>(undefined)
  return SyncStatus.of({
    get: SubscriptionRef.get(tables),
    changes: SubscriptionRef.changes(tables),
    record: (table, event) =>
      SubscriptionRef.update(
        tables,
        (all) => new Map(all).set(table, nextStatus(all.get(table) ?? initialStatus(table), event))
      ),
    remove: (table) => SubscriptionRef.update(tables, (all) => new Map([...all].filter(([name]) => name !== table))),
    reload: Ref.get(reload),
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
})

export const layer: Layer.Layer<SyncStatus> = Layer.effect(SyncStatus, make)
