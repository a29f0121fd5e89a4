import type { StatusEvent } from "../../src/domain/StatusEvent.ts"

type Connected = Extract<StatusEvent, { readonly _tag: "Connected" }>
type Committed = Extract<StatusEvent, { readonly _tag: "Committed" }>

/** An open stream of a table of forty rows whose watermark is block 9. */
export const connected = (fields: Partial<Connected> = {}): StatusEvent => ({
  _tag: "Connected",
  rows: 40n,
  provisionalRows: 0n,
  watermark: 9n,
  watermarkHash: "0x09",
  unverified: false,
  ...fields
})

/** A chunk of five rows in two blocks that completes block 11. */
export const committed = (fields: Partial<Committed> = {}): StatusEvent => ({
  _tag: "Committed",
  isProgress: true,
  rowsAdded: 5,
  rowsRemoved: 0,
  provisionalRows: 0n,
  bytes: 500,
  blocks: 2n,
  watermark: 11n,
  watermarkHash: "0x0b",
  lastBlock: 11n,
  lastRow: "lastBlock" in fields ? fields.lastBlock : 11n,
  reorgs: [],
  unverified: false,
  elapsedMillis: 250,
  chunkRows: 10_000,
  ...fields
})
