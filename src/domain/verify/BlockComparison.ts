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
/** So many of the newest blocks with rows may be taken back: deeper than chains are replaced. */
const RECENT_BLOCKS = 5_000

/** One block that is compared, or one range. */
interface Compared {
  readonly first: bigint
  readonly last: bigint
  readonly rows: number
  readonly difference: DifferentBlock | undefined
}

/** What was compared so far. Holds digests only of blocks whose rows are not complete yet. */
export class BlockComparison {
  /** The newest block that is compared; the one before the first where there is none. */
  through: bigint
  rows = 0
  differing = 0
  missing = 0
  extra = 0
  /** Rows of blocks that have as many on both sides, with other values. */
  changed = 0
  named: ReadonlyArray<DifferentBlock> = []
  #recent: Array<Compared> = []
  /** The newest block that cannot be taken back any more. */
  #final: bigint
  readonly #byRange: boolean
  #pending = new Map<bigint, BlockDigest>()

  /** `byRange`: rows carry only the end of their range, so that all rows of a step are compared as one. */
  constructor(before: bigint, byRange: boolean) {
    this.through = before
    this.#final = before
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
    return this.#compare(stored, upTo).every(({ difference }) => difference === undefined)
  }

  /** Compares the blocks above `through` and up to `upTo`, of which `stored` has all rows. */
  settle(stored: ReadonlyMap<bigint, BlockDigest>, upTo: bigint): void {
    for (const compared of this.#compare(stored, upTo)) {
      this.#count(compared, 1)
      this.#recent.push(compared)
    }
    for (const block of this.#pending.keys()) if (block <= upTo) this.#pending.delete(block)
    this.through = upTo
    if (this.#recent.length <= 2 * RECENT_BLOCKS) return
    this.#recent = this.#recent.slice(-RECENT_BLOCKS)
    this.#final = this.#recent[0]!.first - 1n
  }

  /** Takes back what was compared from `block` on, because its rows were replaced meanwhile; false where that is too long ago. */
  takeBack(block: bigint): boolean {
    const at = this.#recent.findIndex(({ last }) => last >= block)
    const gone = at < 0 ? [] : this.#recent.splice(at)
    for (const compared of gone) this.#count(compared, -1)
    const first = gone[0] !== undefined && gone[0].first < block ? gone[0].first : block
    if (first <= this.through) this.through = first - 1n
    this.#pending.clear()
    return this.through >= this.#final
  }

  #count({ difference, rows }: Compared, times: 1 | -1): void {
    this.rows += times * rows
    if (difference === undefined) return
    const { expected, stored } = difference
    this.differing += times
    this.missing += times * Math.max(0, expected - stored)
    this.extra += times * Math.max(0, stored - expected)
    if (expected === stored) this.changed += times * stored
    if (times < 0) this.named = this.named.filter(({ first }) => first !== difference.first)
    else if (this.named.length < NAMED_BLOCKS) this.named = [...this.named, difference]
  }

  #compare(stored: ReadonlyMap<bigint, BlockDigest>, upTo: bigint): ReadonlyArray<Compared> {
    const expected = new Map([...this.#pending].filter(([block]) => block <= upTo))
    if (this.#byRange) {
      const [sent, found] = [expected, stored].map((digests) => [...digests.values()].reduce(plus, noRows))
      return [compared(this.through + 1n, upTo, sent!, found!)]
    }
    return [...new Set([...expected.keys(), ...stored.keys()])]
      .toSorted((a, b) => (a < b ? -1 : 1))
      .map((block) => compared(block, block, expected.get(block) ?? noRows, stored.get(block) ?? noRows))
  }
}

const compared = (first: bigint, last: bigint, sent: BlockDigest, { rows, ...sums }: BlockDigest): Compared => ({
  first,
  last,
  rows,
  difference: isEqual(sent, { rows, ...sums }) ? undefined : { first, last, expected: sent.rows, stored: rows }
})
