import type { StatusEvent } from "../../src/domain/TableStatus.ts"

type Committed = Extract<StatusEvent, { readonly _tag: "Committed" }>

/** A chunk of five rows in two blocks that completes block 11. */
export const committed = (fields: Partial<Committed> = {}): StatusEvent => ({
  _tag: "Committed",
  isProgress: true,
  rowsAdded: 5,
  rowsRemoved: 0,
  blocks: 2n,
  watermark: 11n,
  lastBlock: 11n,
  reorgs: 0,
  unverified: false,
  ...fields
})
