import type { NextRange } from "./resume.ts"
import type { Dialect } from "./tables.ts"

/** The JSON beside every record batch, as each dialect writes it. */

const ENCODER = new TextEncoder()
/** The parent that a range claims when it is told to lie. */
const WRONG_HASH = `0x${"de".repeat(32)}`

const json = (value: unknown): Uint8Array => ENCODER.encode(JSON.stringify(value))

/**
 * `{"ranges":[...]}`, in amp with `ranges_complete` and the timestamp of the last block.
 *
 * Keys stand in alphabetical order, and a range that begins at block 0 names the zero hash, as recorded from both servers.
 */
export const rangeMetadata = (
  dialect: Dialect,
  network: string,
  range: NextRange & { readonly wrongPrevHash?: boolean },
  complete: boolean
): Uint8Array => {
  const common = {
    hash: range.hash,
    network,
    numbers: { end: Number(range.end), start: Number(range.start) },
    prev_hash: range.wrongPrevHash === true ? WRONG_HASH : range.prevHash
  }
  return dialect === "nozzle"
    ? json({ ranges: [common] })
    : json({ ranges: [{ ...common, timestamp: range.timestampSeconds }], ranges_complete: complete })
}

/** What a server says that has no range to name. */
export const noRangesMetadata = (dialect: Dialect, complete: boolean): Uint8Array =>
  json(dialect === "nozzle" ? { ranges: [] } : { ranges: [], ranges_complete: complete })
