import type { NextRange } from "./resume.ts"
import type { Dialect } from "./tables.ts"

/** The JSON beside every record batch, as each dialect writes it. */

const ENCODER = new TextEncoder()
const ZERO_HASH = `0x${"0".repeat(64)}`
/** The parent that a range claims when it is told to lie. */
const WRONG_HASH = `0x${"de".repeat(32)}`

const json = (value: unknown): Uint8Array => ENCODER.encode(JSON.stringify(value))

/**
 * `{"ranges":[...]}`, in amp with `ranges_complete` and the timestamp of the last block.
 *
 * A range that begins at block 0 has no block before it: nozzle says null, amp the zero hash.
 */
export const rangeMetadata = (
  dialect: Dialect,
  network: string,
  range: NextRange & { readonly wrongPrevHash?: boolean },
  complete: boolean
): Uint8Array => {
  const prevHash = range.wrongPrevHash === true ? WRONG_HASH : range.prevHash
  const common = {
    numbers: { start: Number(range.start), end: Number(range.end) },
    network,
    hash: range.hash,
    prev_hash: dialect === "nozzle" && prevHash === ZERO_HASH ? null : prevHash
  }
  return dialect === "nozzle"
    ? json({ ranges: [common] })
    : json({ ranges: [{ ...common, timestamp: range.timestampSeconds }], ranges_complete: complete })
}

/** What a server says that has no range to name. */
export const noRangesMetadata = (dialect: Dialect, complete: boolean): Uint8Array =>
  json(dialect === "nozzle" ? { ranges: [] } : { ranges: [], ranges_complete: complete })
