/** Services of the bookkeeping; a method that the test does not provide is a defect. */
import { Effect, Layer } from "effect"
import type { WriterLease } from "../../src/domain/bookkeeping/WriterLease.ts"
import { emptyCheckpoint } from "../../src/domain/chain/Checkpoint.ts"
import { Bookkeeping } from "../../src/services/Bookkeeping.ts"
import { TableLeases } from "../../src/services/TableLeases.ts"

export const bookkeeping = (methods: Partial<Bookkeeping["Service"]>): Layer.Layer<Bookkeeping> =>
  Layer.mock(Bookkeeping, methods)

export const tableLeases = (methods: Partial<TableLeases["Service"]> = {}): Layer.Layer<TableLeases> =>
  Layer.mock(TableLeases, {
    writer: "localhost pid 1 (00000000)",
    open: () => ({ text: "", guard: 0 }),
    release: () => Effect.void,
    ...methods
  })

/** A lease on a table without a checkpoint. */
export const leaseOf = (table: string, fields: Partial<WriterLease> = {}): WriterLease => ({
  table,
  epoch: 1n,
  commitSeq: 0n,
  checkpoint: emptyCheckpoint,
  rows: 0n,
  provisionalRows: 0n,
  recorded: undefined,
  tableExists: true,
  ...fields
})
