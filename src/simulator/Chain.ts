/**
 * A deterministic EVM-like chain and the part of it that a server has indexed.
 *
 * Owns which blocks are canonical and which orphaned ones are remembered; a block's content is a pure function of
 * seed, fork and number, generated on demand and not stored.
 */
import { blockHash, type BlockId, BlockSource, blockTimestamp } from "./BlockSource.ts"
import { newColumn, type PlainValue, valueAt } from "./columns.ts"
import { blockAt, type ChainView, contains, divergence, replaceFrom } from "./forks.ts"
import { type GivenBlock, GivenBlocks } from "./GivenBlocks.ts"
import { type Dialect, type TableName, TABLES } from "./tables.ts"

export interface ChainOptions {
  readonly seed: number
  readonly dialect: Dialect
  /** Length of the chain to begin with; 0 for one without blocks. */
  readonly blocks: number
  /** Number of transactions of a block, where it is not to be drawn. */
  readonly transactionsAt?: ((number: bigint) => number | undefined) | undefined
}

/** One row by column name, in the order of the schema. */
export type PlainRow = Readonly<Record<string, PlainValue>>

const ZERO_HASH = new Uint8Array(32)
/** The oldest reorgs are forgotten beyond this many, as a server compacts its orphaned files away. */
const MAX_ORPHANED_SEGMENTS = 10_000

const hexOf = (bytes: Uint8Array): string =>
  `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")}`

interface Orphans {
  readonly fork: number
  readonly start: bigint
  readonly end: bigint
}

export class Chain {
  readonly seed: number
  readonly dialect: Dialect
  /** The fork and the number at which each fork branched off; -1 for a separate chain. */
  private readonly forks: Array<{ readonly parent: number; readonly start: bigint }> = [{ parent: -1, start: 0n }]
  /** The chain of the node, which the server does not notice while it is no longer than `indexed`. */
  private head: ChainView
  private indexed: ChainView
  /** Served before the last reorg. */
  private replaced: ChainView | undefined
  private readonly transactionsAt: ChainOptions["transactionsAt"]
  private orphans: Array<Orphans> = []
  private readonly listeners = new Set<() => void>()
  private readonly given = new GivenBlocks()
  private reorgCount = 0
  private reorgsIgnored = false

  constructor(options: ChainOptions) {
    this.seed = options.seed
    this.dialect = options.dialect
    this.head = { segments: [{ start: 0n, fork: 0 }], tip: BigInt(options.blocks) - 1n }
    this.indexed = this.head
    this.transactionsAt = options.transactionsAt
  }

  /** The canonical chain as the server serves it now. */
  get view(): ChainView {
    return this.indexed
  }

  /** Number of the last canonical block; -1 before the first one. */
  get tip(): bigint {
    return this.indexed.tip
  }

  /** Reorgs that have become visible so far. */
  get reorgs(): number {
    return this.reorgCount
  }

  /** Number and hash of the last block of the newest chain, which is hidden while it is not longer than the served one. */
  get newest(): { readonly tip: bigint; readonly hashAt: (number: bigint) => string | undefined } {
    const { head } = this
    return {
      tip: head.tip,
      hashAt: (number) => {
        const block = blockAt(head, number)
        return block === undefined ? undefined : this.hashOf(block)
      }
    }
  }

  /**
   * Takes blocks of a real chain in the place of everything from block `from` on; with none the newest chain ends before `from`.
   *
   * As with `reorg`, blocks that replace others are visible once the chain is longer than the one that is served.
   */
  take(from: bigint, blocks: ReadonlyArray<GivenBlock>): void {
    const last = blockAt(this.head, this.head.tip) ?? { fork: 0, number: -1n }
    const continues = from === this.head.tip + 1n && this.given.get({ fork: last.fork, number: from }) === undefined
    const fork = continues || blocks.length === 0 ? last.fork : this.newFork(from)
    for (const block of blocks) this.given.add(fork, block)
    const tip = from + BigInt(blocks.length) - 1n
    this.head = continues || blocks.length === 0 ? { ...this.head, tip } : replaceFrom(this.head, from, fork, tip)
    this.publish()
  }

  /** Adds `count` blocks to the newest chain, which is a hidden one between a short reorg and its becoming longest. */
  mine(count = 1): void {
    this.head = { ...this.head, tip: this.head.tip + BigInt(count) }
    this.publish()
  }

  /**
   * Replaces the last `depth` blocks by `newLength` others (`depth + 1` by default).
   *
   * Like the real extraction, the server notices only when the new chain is longer than the old: after `reorg(3, 2)`
   * it serves the old chain until `mine(2)`.
   */
  reorg(depth: number, newLength: number = depth + 1): void {
    const start = this.head.tip + 1n - BigInt(depth)
    if (depth < 1 || start < 0n || newLength < 0) {
      throw new RangeError(`a chain of ${this.head.tip + 1n} blocks cannot replace ${depth} of them by ${newLength}`)
    }
    this.head = replaceFrom(this.head, start, this.newFork(start), start + BigInt(newLength) - 1n)
    this.publish()
  }

  /**
   * Goes back to the chain that was served before the last reorg: the same blocks with the same hashes, and then new ones, until
   * it is one block longer than the present chain. Nothing happens where there was no reorg.
   */
  returnToReplaced(): void {
    if (this.replaced === undefined) return
    this.head = { segments: this.replaced.segments, tip: this.indexed.tip + 1n }
    this.publish()
  }

  /**
   * Replaces the whole chain by another one of at most as many blocks, as when a development chain is started again.
   *
   * A real server does not notice it: it serves the old chain, whose head does not move, until the new one is longer. Then
   * every block is replaced at once.
   */
  replaceByShorter(blocks = 1): void {
    const length = this.head.tip + 1n
    if (BigInt(blocks) > length) throw new RangeError(`${blocks} blocks are more than the ${length} they would replace`)
    this.reorg(Number(length), blocks)
  }

  /**
   * Serves no block of a chain that replaces another one, however long it is: the continuous dump job of a nozzle server
   * never notices a reorg, and its streams are silent meanwhile.
   */
  ignoreReorgs(): void {
    this.reorgsIgnored = true
  }

  /** Serves the newest chain again, as a new dump job does. */
  noticeReorgs(): void {
    this.reorgsIgnored = false
    this.publish()
  }

  /**
   * Replaces the whole chain by another one of `blocks` blocks, visible at once even when it is shorter: as when the data of
   * a server is deleted and extracted again.
   *
   * The blocks of the old one are forgotten, unless `remember` is true.
   */
  reset(options: { readonly blocks?: number; readonly remember?: boolean } = {}): void {
    const blocks = options.blocks ?? 1
    const tip = BigInt(blocks) - 1n
    const old = this.indexed
    this.replaced = undefined
    this.head = { segments: [{ start: 0n, fork: this.newFork(0n, -1) }], tip }
    this.indexed = this.head
    if (options.remember === true) this.orphan(old, 0n)
    else this.orphans = []
    this.notify()
  }

  /**
   * Makes the server forget orphaned blocks, as if their files had been collected: all of them, or those before block `below`.
   *
   * After the latter the server walks back from an orphaned cursor only as far as it remembers.
   */
  forgetOrphans(below?: bigint): void {
    this.orphans = below === undefined
      ? []
      : this.orphans.flatMap((segment) =>
        segment.end < below ? [] : [{ ...segment, start: segment.start < below ? below : segment.start }]
      )
  }

  /** Calls `listener` whenever the visible chain has changed; returns the function that ends that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** `0x` and 64 digits of the canonical block `number`. */
  hashAt(number: bigint): string | undefined {
    const block = blockAt(this.indexed, number)
    return block === undefined ? undefined : this.hashOf(block)
  }

  hashOf(block: BlockId): string {
    return hexOf(this.hashBytes(block))
  }

  /** Hash of the block before; the zero hash before block 0. */
  parentHashOf(block: BlockId): string {
    return hexOf(this.parentHashBytes(block))
  }

  /** The block before, on the chain that `block` was mined on. */
  parentOf(block: BlockId): BlockId | undefined {
    if (block.number === 0n) return undefined
    const number = block.number - 1n
    let fork = block.fork
    while (number < this.forks[fork]!.start) fork = this.forks[fork]!.parent
    return { fork, number }
  }

  /** Whole seconds since 1970. */
  timestampSecondsOf(block: BlockId): number {
    return Number((this.given.get(block)?.timestamp ?? blockTimestamp(this.seed, block)) / 1_000_000_000n)
  }

  isCanonical(block: BlockId): boolean {
    return contains(this.indexed, block)
  }

  /** The block of this number and hash, canonical or orphaned and remembered. */
  find(number: bigint, hash: string): BlockId | undefined {
    const canonical = blockAt(this.indexed, number)
    if (canonical !== undefined && this.hashOf(canonical) === hash) return canonical
    return this.orphans
      .filter((segment) => segment.start <= number && number <= segment.end)
      .map((segment) => ({ fork: segment.fork, number }))
      .find((block) => this.hashOf(block) === hash)
  }

  /** Whether the server still has `block`. */
  remembers(block: BlockId): boolean {
    return this.isCanonical(block) ||
      this.orphans.some((segment) =>
        segment.fork === block.fork && segment.start <= block.number && block.number <= segment.end
      )
  }

  /** The content of one block. */
  source(block: BlockId): BlockSource {
    const given = this.given.get(block)
    return new BlockSource(this.seed, block, this.parentHashBytes(block), this.transactionsAt?.(block.number), given)
  }

  /** The canonical rows of blocks `from` to `to`, both inclusive, as plain values: nothing of Arrow is involved. */
  *rows(table: TableName, from = 0n, to = this.tip): Generator<PlainRow> {
    const { columns, rowsOf } = TABLES[this.dialect][table]
    const view = this.indexed
    for (let number = from; number <= to; number += 1n) {
      const block = blockAt(view, number)
      if (block === undefined) return
      const source = this.source(block)
      const values = columns.map((column) => newColumn(column.field))
      columns.forEach((column, i) => column.append(values[i]!, source))
      for (let row = 0; row < rowsOf(source); row += 1) {
        yield Object.fromEntries(columns.map(({ field }, i) => [field.name, valueAt(field.type, values[i]!, row)]))
      }
    }
  }

  /** Number of canonical rows of blocks `from` to `to`, without generating them. */
  countRows(table: TableName, from = 0n, to = this.tip): number {
    const { rowsOf } = TABLES[this.dialect][table]
    let rows = 0
    for (let number = from; number <= to; number += 1n) {
      const block = blockAt(this.indexed, number)
      if (block !== undefined) rows += rowsOf(this.source(block))
    }
    return rows
  }

  private hashBytes(block: BlockId): Uint8Array {
    return this.given.get(block)?.hash ?? blockHash(this.seed, block)
  }

  private parentHashBytes(block: BlockId): Uint8Array {
    const parent = this.parentOf(block)
    return parent === undefined ? ZERO_HASH : this.hashBytes(parent)
  }

  private newFork(start: bigint, parent = this.head.segments.findLast((segment) => segment.start < start)?.fork ?? -1) {
    return this.forks.push({ parent, start }) - 1
  }

  private publish(): void {
    const old = this.indexed
    const fork = divergence(old, this.head)
    const extendsOld = fork > old.tip
    if (!extendsOld && (this.reorgsIgnored || this.head.tip <= old.tip)) return
    this.indexed = this.head
    if (!extendsOld) {
      this.replaced = old
      this.orphan(old, fork)
      this.reorgCount += 1
    }
    this.notify()
  }

  /** Remembers the blocks of `old` from `start` on. */
  private orphan(old: ChainView, start: bigint): void {
    old.segments.forEach((segment, i) => {
      const next = old.segments[i + 1]
      const end = next === undefined ? old.tip : next.start - 1n
      const from = segment.start < start ? start : segment.start
      if (from <= end) this.orphans.push({ fork: segment.fork, start: from, end })
    })
    this.orphans = this.orphans.slice(-MAX_ORPHANED_SEGMENTS)
  }

  private notify(): void {
    for (const listener of this.listeners) listener()
  }
}
