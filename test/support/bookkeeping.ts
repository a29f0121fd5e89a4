/** The layers of the tables `_ampsync_*`, and queries of what they contain. */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { TableIdentity } from "../../src/domain/bookkeeping/TableIdentity.ts"
import type { WriterLease } from "../../src/domain/bookkeeping/WriterLease.ts"
import type { Watermark } from "../../src/domain/chain/watermarks.ts"
import { layer as bookkeepingLayer } from "../../src/layers/Bookkeeping.ts"
import { layer as checkpointsLayer } from "../../src/layers/Checkpoints.ts"
import { layer as poolLayer } from "../../src/layers/PgPool.ts"
import { sessionName, writerIdOf } from "../../src/layers/table-leases/sessionName.ts"
import { layer as leasesLayer } from "../../src/layers/TableLeases.ts"
import { Bookkeeping, type TableState } from "../../src/services/Bookkeeping.ts"
import { type Advance, Checkpoints } from "../../src/services/Checkpoints.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { TableLeases } from "../../src/services/TableLeases.ts"
import { hashOf } from "./chunks.ts"
import type { TestDatabase } from "./postgres.ts"
import { testSettings } from "./testSettings.ts"

export const bookkeepingLayers = Layer.merge(bookkeepingLayer, checkpointsLayer).pipe(Layer.provideMerge(leasesLayer))

/** The `application_name` of the sessions of a process that work on `table`. */
export const sessionOf = ({ writer }: TableLeases["Service"], table: string): string =>
  sessionName(writerIdOf(writer)!, table)

/** One process's view of the bookkeeping. */
export interface Writer {
  readonly bookkeeping: Bookkeeping["Service"]
  readonly checkpoints: Checkpoints["Service"]
  readonly leases: TableLeases["Service"]
  readonly pool: PgPool["Service"]
}

export const newWriter = (database: TestDatabase) =>
  Effect.map(
    Layer.build(
      bookkeepingLayers.pipe(Layer.provideMerge(poolLayer), Layer.provide(Layer.fresh(testSettings(database))))
    ),
    (services): Writer => ({
      bookkeeping: Context.get(services, Bookkeeping),
      checkpoints: Context.get(services, Checkpoints),
      leases: Context.get(services, TableLeases),
      pool: Context.get(services, PgPool)
    })
  )

export const preparedWriter = (database: TestDatabase) =>
  Effect.tap(newWriter(database), ({ bookkeeping }) => bookkeeping.ensure)

export const identity = (table: string, dataset = "_/example"): TableIdentity => ({
  table,
  dataset,
  version: "0.1.0",
  fingerprint: "f1",
  positionColumn: "_block_num"
})

/** Acquires the lease of a table and records what the table is filled with. */
export const leased = ({ checkpoints, leases }: Writer, table: string, of: Partial<TableIdentity> = {}) => {
  const recording = { ...identity(table), ...of }
  return leases.transaction(
    table,
    Effect.tap(leases.acquire(recording), (lease) => checkpoints.record(lease, recording))
  )
}

export const at = (block: bigint, fork = 0): Watermark => ({ block, hash: hashOf(block, fork) })

export const change = (history: ReadonlyArray<Watermark>, more: Partial<Advance> = {}): Advance => ({
  checkpoint: { network: "anvil", origin: 0n, history, unverifiedFrom: undefined },
  reorgs: [],
  rowsAdded: 10,
  rowsRemoved: 0,
  provisionalRows: 0n,
  blockTimestamp: 1_700_000_000,
  ...more
})

/** What the transaction of a chunk does to the bookkeeping. */
export const fenceAndAdvance = ({ checkpoints, leases }: Writer, lease: WriterLease, what: Advance) =>
  Effect.andThen(leases.fence(lease), checkpoints.advance(lease, what))

export const advanced = (writer: Writer, lease: WriterLease, what: Advance) =>
  writer.leases.transaction(lease.table, fenceAndAdvance(writer, lease, what))

export const stored = (database: TestDatabase, table: string) =>
  Effect.map(
    database.query<Record<string, string | null>>(
      `SELECT c.max_block_num, c.watermark_hash, c.rows, c.provisional_rows, c.commit_seq, c.writer_epoch, c.writer,
         (SELECT string_agg(w.block_num::text, ' ' ORDER BY block_num) FROM _ampsync_watermarks w USING (table_name)) AS history
       FROM _ampsync_checkpoints c WHERE table_name = $1`.replace(
        "w USING (table_name)",
        "w WHERE w.table_name = c.table_name"
      ),
      [table]
    ),
    ([row]) => row
  )

/** Moves all heartbeats ten seconds back, but for that of the given writer. */
export const expireHeartbeats = (database: TestDatabase, { leases }: Writer) =>
  Effect.andThen(
    database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at - interval '10 seconds'"),
    leases.heartbeat
  )

export const tableState = (table: string, state: TableState["state"], reason?: string, ageMillis = 0): TableState => ({
  table,
  state,
  reason,
  ageMillis
})

/** The row of a table in the view `_ampsync_progress`. */
export const progressOf = (database: TestDatabase, table: string) =>
  Effect.map(
    database.query<{ state: string; reason: string | null; state_since: Date | null; rows: string | null }>(
      "SELECT state, reason, state_since, rows FROM _ampsync_progress WHERE table_name = $1",
      [table]
    ),
    (rows) => (assert.isAtMost(rows.length, 1), rows[0])
  )

/** A session of that name has written something and not ended its transaction. */
export const isInTransaction = (database: TestDatabase, session: string) =>
  Effect.map(
    database.query("SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND backend_xid IS NOT NULL", [
      session
    ]),
    (rows) => rows.length > 0
  )
