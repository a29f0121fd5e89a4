import { Effect, Layer, SubscriptionRef } from "effect"
import type { TableStatus } from "../services/SyncStatus.ts"
import { SyncStatus } from "../services/SyncStatus.ts"

/** `SyncStatus` in memory. */
const make = Effect.gen(function*() {
  const tables = yield* SubscriptionRef.make<ReadonlyMap<string, TableStatus>>(new Map())
  return SyncStatus.of({
    get: SubscriptionRef.get(tables),
    changes: SubscriptionRef.changes(tables),
    update: (table, change) =>
      SubscriptionRef.update(tables, (all) => {
        const status = all.get(table) ?? unknownTable(table)
        return new Map(all).set(table, { ...status, ...change(status) })
      })
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
