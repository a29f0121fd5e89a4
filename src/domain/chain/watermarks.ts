/**
 * The history of watermarks of one table: which to keep, and which to try next when the newest is in doubt.
 *
 * A history is ascending by block; its last entry is the watermark, its first the oldest one ever reached.
 */

/** All rows up to and including `block` are the chain that `hash`, the hash of `block`, identifies. */
export interface Watermark {
  readonly block: bigint
  readonly hash: string
}

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

/** Appends the next watermark and thins; an entry at or above it is replaced by it. */
export const append = (history: History, watermark: Watermark, retentionBlocks: number): History =>
  thin([...upTo(history, watermark.block - 1n), watermark], retentionBlocks)

/**
 * Keeps every watermark of the last `retentionBlocks` blocks, of the older ones exponentially fewer, and always the first.
 *
 * One is dropped only while its older neighbour is at most twice as deep as its newer one. Distances grow together, so that
 * stays true for ever: whatever depth is looked for, the next older entry is at most twice as deep as the next newer one,
 * unless no watermark was ever reached between them. The oldest entry of each power-of-two bucket would not do: an
 * entry that ages into a bucket that is taken leaves its own bucket empty, and holes of many times the depth appear.
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
 * Where to look for the newest canonical entry once `refuted` is known to be orphaned and `proved` (if any) to be
 * canonical: back from the newest in doubling steps until one is proved, then by bisection. Indices into the history;
 * undefined when the oldest entry itself is refuted.
 */
export const nextProbe = (refuted: number, proved: number | undefined, newest: number): number | undefined => {
  if (proved !== undefined) return refuted - proved <= 1 ? proved : proved + Math.floor((refuted - proved) / 2)
  if (refuted === 0) return undefined
  const distance = Math.max(1, newest - refuted) * 2
  return refuted === newest ? newest - 1 : Math.max(0, newest - distance)
}

export const isSameWatermark = (a: Watermark | undefined, b: Watermark | undefined): boolean =>
  a?.block === b?.block && a?.hash === b?.hash

/** Where `watermark` stands in the history; -1 where it does not. */
export const indexOf = (history: History, watermark: Watermark | undefined): number =>
  watermark === undefined ? -1 : history.findIndex((entry) => isSameWatermark(entry, watermark))
