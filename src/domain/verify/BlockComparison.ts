/** Compares the rows of blocks by their number and by a hash that does not depend on their order. */

/** The first 128 bits of a hash, as two signed 64-bit numbers. */
export interface RowHash {
  readonly high: bigint
  readonly low: bigint
}

/** Rows of one block: how many, and the sums of their hashes modulo 2^64. */
export interface BlockDigest {
  readonly rows: number
  readonly high: bigint
  readonly low: bigint
}

export const noRows: BlockDigest = { rows: 0, high: 0n, low: 0n }

/** The digest of the rows of both. */
export const plus = (a: BlockDigest, b: BlockDigest): BlockDigest => ({
  rows: a.rows + b.rows,
  high: BigInt.asUintN(64, a.high + b.high),
  low: BigInt.asUintN(64, a.low + b.low)
})

const isEqual = (a: BlockDigest, b: BlockDigest): boolean => a.rows === b.rows && a.high === b.high && a.low === b.low

/** Blocks whose rows are not those of the server; `first` and `last` differ where rows carry only the end of their range. */
export interface DifferentBlock {
  readonly first: bigint
  readonly last: bigint
  /** Rows that the server sends. */
  readonly expected: number
  readonly stored: number
}

/** So many differing blocks are named; all are counted. */
const NAMED_BLOCKS = 10

/** What was compared so far. Holds digests only of blocks whose rows are not complete yet. */
export class BlockComparison {
  /** The newest block that is compared; the one before the first where there is none. */
  through: bigint
  rows = 0
  blocks = 0n
  differing = 0
  missing = 0
  extra = 0
  /** Rows of blocks that have as many on both sides, with other values. */
  changed = 0
  readonly named: Array<DifferentBlock> = []
  readonly #byRange: boolean
  #pending = new Map<bigint, BlockDigest>()

  /** `byRange`: rows carry only the end of their range, so that all rows of a step are compared as one. */
  constructor(before: bigint, byRange: boolean) {
    this.through = before
    this.#byRange = byRange
  }

  /** Notes a row that the server sent. */
  add(block: bigint, { high, low }: RowHash): void {
    this.#pending.set(block, plus(this.#pending.get(block) ?? noRows, { rows: 1, high, low }))
  }

  /** Forgets what is not compared yet, because it will be sent again. */
  restart(): void {
    this.#pending.clear()
  }

  /** Whether all rows above `through` and up to `upTo` are as stored. */
  matches(stored: ReadonlyMap<bigint, BlockDigest>, upTo: bigint): boolean {
    return this.#differences(stored, upTo).length === 0
  }

  /** Compares the blocks above `through` and up to `upTo`, of which `stored` has all rows. */
  settle(stored: ReadonlyMap<bigint, BlockDigest>, upTo: bigint): void {
    for (const found of this.#differences(stored, upTo)) {
      this.differing += 1
      this.missing += Math.max(0, found.expected - found.stored)
      this.extra += Math.max(0, found.stored - found.expected)
      if (found.expected === found.stored) this.changed += found.stored
      if (this.named.length < NAMED_BLOCKS) this.named.push(found)
    }
    for (const digest of stored.values()) this.rows += digest.rows
    for (const block of this.#pending.keys()) if (block <= upTo) this.#pending.delete(block)
    this.blocks += upTo - this.through
    this.through = upTo
  }

  #differences(stored: ReadonlyMap<bigint, BlockDigest>, upTo: bigint): ReadonlyArray<DifferentBlock> {
    const expected = new Map([...this.#pending].filter(([block]) => block <= upTo))
    if (this.#byRange) {
      const [sent, found] = [expected, stored].map((digests) => [...digests.values()].reduce(plus, noRows))
      return different(this.through + 1n, upTo, sent!, found!)
    }
    return [...new Set([...expected.keys(), ...stored.keys()])]
      .toSorted((a, b) => (a < b ? -1 : 1))
      .flatMap((block) => different(block, block, expected.get(block) ?? noRows, stored.get(block) ?? noRows))
  }
}

const different = (
  first: bigint,
  last: bigint,
  sent: BlockDigest,
  found: BlockDigest
): ReadonlyArray<DifferentBlock> =>
  isEqual(sent, found) ? [] : [{ first, last, expected: sent.rows, stored: found.rows }]
