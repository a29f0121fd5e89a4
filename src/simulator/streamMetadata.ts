/** The JSON metadata of every record batch, in the form of each dialect. */
import type { NextRange } from "./resume.ts"
import type { Dialect } from "./tables.ts"

const ENCODER = new TextEncoder()
/** The parent of a range that is planned to have a wrong one. */
const WRONG_HASH = `0x${"de".repeat(32)}`

const json = (value: unknown): Uint8Array => ENCODER.encode(JSON.stringify(value))

/**
 * `{"ranges":[...]}`, in amp with `ranges_complete` and the timestamp of the last block.
 *
 * Keys are in alphabetical order, and a range that begins at block 0 names the zero hash, as recorded from both servers.
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

/** The metadata of a server that has no range. */
export const noRangesMetadata = (dialect: Dialect, complete: boolean): Uint8Array =>
  json(dialect === "nozzle" ? { ranges: [] } : { ranges: [], ranges_complete: complete })
