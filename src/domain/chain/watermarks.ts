/** The history of watermarks of one table: which to keep, and which to try next when the newest is in doubt. */

/** All rows up to and including `block` are the chain that `hash`, the hash of `block`, identifies. */
export interface Watermark {
  readonly block: bigint
  readonly hash: string
}

/** Ascending by block; the last entry is the watermark of the table, the first the oldest one ever reached. */
export type History = ReadonlyArray<Watermark>

/** The newest entry below `block`. */
export const newestBelow = (history: History, block: bigint): Watermark | undefined =>
  history.findLast((entry) => entry.block < block)

/** The history without its entries above `block`. */
export const upTo = (history: History, block: bigint): History => {
  let length = history.length
  while (length > 0 && history[length - 1]!.block > block) length--
  return length === history.length ? history : history.slice(0, length)
}

/** Thinning walks through all entries, so it is done only now and then; up to so many entries too many are kept meanwhile. */
const THIN_EVERY = 32

/** Appends the next watermark, which replaces entries at or above it, and thins now and then. */
export const append = (history: History, watermark: Watermark, retentionBlocks: number): History => {
  const appended = [...upTo(history, watermark.block - 1n), watermark]
  return appended.length % THIN_EVERY === 0 ? thin(appended, retentionBlocks) : appended
}

/**
 * Keeps every watermark of the last `retentionBlocks` blocks, of the older ones exponentially fewer, and always the first.
 *
 * One is dropped only while its older neighbour is at most twice as deep as its newer one. Distances grow together, so that
 * stays true: at any depth, the next older entry is at most twice as deep as the next newer one, unless no watermark was ever
 * reached between them. Keeping the oldest entry of each power-of-two bucket would not do: an entry that ages into a bucket
 * that is taken leaves its own bucket empty, and gaps of many times the depth appear.
 */
export const thin = (history: History, retentionBlocks: number): History => {
  const newest = history.at(-1)
  if (newest === undefined) return history
  const dense = newest.block - BigInt(retentionBlocks)
  const kept: Array<Watermark> = []
  history.forEach((entry, index) => {
    const [older, newer] = [kept.at(-1), history[index + 1]]
    if (
      older === undefined || newer === undefined || entry.block >= dense ||
      newest.block - older.block > 2n * (newest.block - newer.block)
    ) kept.push(entry)
  })
  return kept.length === history.length ? history : kept
}

/**
 * The entry to try next in the search for the newest canonical one, once `rejected` is known to be orphaned and `accepted` (if
 * any) to be canonical: back from the newest in doubling steps until one is accepted, then by bisection. All are indices into
 * the history; undefined when the oldest entry itself is rejected.
 */
export const nextProbe = (rejected: number, accepted: number | undefined, newest: number): number | undefined => {
  if (accepted !== undefined) {
    return rejected - accepted <= 1
      ? accepted
      : accepted + Math.floor((rejected - accepted) / 2)
  }
  if (rejected === 0) return undefined
  const distance = Math.max(1, newest - rejected) * 2
  return rejected === newest ? newest - 1 : Math.max(0, newest - distance)
}

/** Whether both have the same block and hash, or both are undefined. */
export const isSameWatermark = (a: Watermark | undefined, b: Watermark | undefined): boolean =>
  a?.block === b?.block && a?.hash === b?.hash

/** The index of `watermark` in the history; -1 where it is not in it. */
export const indexOf = (history: History, watermark: Watermark | undefined): number =>
  watermark === undefined ? -1 : history.findIndex((entry) => isSameWatermark(entry, watermark))
