import type { AppliedReorg, CommittedEvent, StatusEvent } from "../../src/domain/StatusEvent.ts"

type Connected = Extract<StatusEvent, { readonly _tag: "Connected" }>

/** An open stream of a table of forty rows in three commits, whose watermark is block 9. */
export const connected = (fields: Partial<Connected> = {}): StatusEvent => ({
  _tag: "Connected",
  commitSeq: 3n,
  rows: 40n,
  provisionalRows: 0n,
  watermark: 9n,
  watermarkHash: "0x09",
  unverified: false,
  ...fields
})

/** A reorg that replaced `depth` blocks from `firstBlock` on. */
export const reorged = (firstBlock: bigint, depth: bigint): AppliedReorg => ({
  firstBlock,
  depth,
  oldHash: `0xold${firstBlock + depth - 1n}`,
  newHash: `0xnew${firstBlock + depth - 1n}`
})

/** A chunk of five rows in two blocks that completes block 11. */
export const committed = (fields: Partial<CommittedEvent> = {}): StatusEvent => ({
  _tag: "Committed",
  isProgress: true,
  rowsAdded: 5,
  rowsRemoved: 0,
  deletedFrom: undefined,
  provisionalRows: 0n,
  bytes: 500,
  blocks: 2n,
  watermark: 11n,
  watermarkHash: "0x0b",
  firstBlock: 10n,
  lastBlock: 11n,
  lastRow: "lastBlock" in fields ? fields.lastBlock : 11n,
  reorgs: [],
  unverified: false,
  elapsedMillis: 250,
  chunkRows: 10_000,
  ...fields
})
