/** A `Checkpoints` of which only what a test names may be used. */
import { Effect, Layer } from "effect"
import { emptyCheckpoint } from "../../src/domain/chain/Checkpoint.ts"
import { Checkpoints, type WriterLease } from "../../src/services/Checkpoints.ts"

export const checkpoints = (methods: Partial<Checkpoints["Service"]> = {}): Layer.Layer<Checkpoints> =>
  Layer.mock(Checkpoints, {
    activity: (table) => table,
    statements: {
      fence: () => "",
      advance: (lease) => ({ statement: "", lease })
    },
    release: () => Effect.void,
    ...methods
  })

/** A lease on a table that has nothing yet. */
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
