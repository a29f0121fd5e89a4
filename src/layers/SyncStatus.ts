import { Clock, Effect, Layer, Ref, SubscriptionRef } from "effect"
import type { ReloadStatus, TableStatus } from "../services/SyncStatus.ts"
import { SyncStatus } from "../services/SyncStatus.ts"

/** `SyncStatus` in memory. */
const make = Effect.gen(function*() {
  const tables = yield* SubscriptionRef.make<ReadonlyMap<string, TableStatus>>(new Map())
  const reload = yield* Ref.make<ReloadStatus | undefined>(undefined)
  return SyncStatus.of({
    get: SubscriptionRef.get(tables),
    changes: SubscriptionRef.changes(tables),
    update: (table, change) =>
      SubscriptionRef.update(tables, (all) => {
        const status = all.get(table) ?? unknownTable(table)
        return new Map(all).set(table, { ...status, ...change(status) })
      }),
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

const unknownTable = (table: string): TableStatus => ({
  table,
  phase: "starting",
  rows: 0n,
  rowsCommitted: 0,
  blocksCommitted: 0n,
  watermark: undefined,
  head: undefined,
  reorgs: 0,
  unverified: false,
  reason: undefined
})
