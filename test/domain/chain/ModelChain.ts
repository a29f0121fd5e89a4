import { hashOf } from "../../support/scenario.ts"

/** One block of the tree of all blocks that ever existed. */
export interface ModelBlock {
  readonly number: bigint
  readonly hash: string
  readonly parent: ModelBlock | undefined
  readonly rows: number
  /** The number of the highest block that was ever built on it. */
  top: bigint
}

/** What a server has indexed: which chain is canonical, and which orphans it has not lost (protocol of the resume walk). */
export class ModelChain {
  private canonical: Array<ModelBlock> = []
  private remembered = new Set<ModelBlock>()
  private readonly every = new Map<string, ModelBlock>()
  private born = 0
  private foundations = 0
  readonly origin: bigint
  private readonly rowsOf: (born: number) => number

  constructor(origin: bigint, rowsOf: (born: number) => number) {
    this.origin = origin
    this.rowsOf = rowsOf
  }

  get tip(): ModelBlock | undefined {
    return this.canonical.at(-1)
  }

  at(number: bigint): ModelBlock | undefined {
    return this.canonical[Number(number - this.origin)]
  }

  byHash(hash: string): ModelBlock | undefined {
    return this.every.get(hash)
  }

  isCanonical(block: ModelBlock): boolean {
    return this.at(block.number) === block
  }

  /** Hash of the block before the first one: none before block 0. */
  parentHash(block: ModelBlock): string | undefined {
    if (block.parent !== undefined) return block.parent.hash
    return this.origin === 0n ? undefined : hashOf(this.origin - 1n, `root${this.foundations}`)
  }

  mine(count: number, rows?: number): void {
    for (let i = 0; i < count; i++) this.canonical.push(this.bear(this.tip, rows))
  }

  /** A chain from `depth` blocks below the tip that is longer by `more`. */
  reorg(depth: number, more: number): void {
    const length = this.canonical.length
    const cut = Math.min(depth, length)
    this.orphan(length - cut)
    this.mine(cut + more)
  }

  /** Back to an earlier chain, whose orphans are remembered, made the longest one. */
  back(which: number): boolean {
    const orphans = [...this.remembered].filter((block) => !this.isCanonical(block))
    const top = orphans[which % Math.max(1, orphans.length)]
    if (top === undefined) return false
    const branch: Array<ModelBlock> = []
    let block: ModelBlock | undefined = top
    while (block !== undefined && !this.isCanonical(block)) {
      branch.unshift(block)
      block = block.parent
    }
    const length = this.canonical.length
    this.orphan(block === undefined ? 0 : Number(block.number - this.origin) + 1)
    this.canonical.push(...branch)
    for (const back of branch) this.remembered.delete(back)
    while (this.canonical.length <= length) this.mine(1)
    return true
  }

  /** Another chain from its first block, shorter or longer. */
  reset(length: number, forget: boolean): void {
    this.foundations += 1
    this.orphan(0)
    if (forget) this.remembered.clear()
    this.mine(length)
  }

  /** Loses orphans: all, or every one within `span` blocks below `top` blocks under the tip. */
  forget(top: number, span: number): void {
    if (span === 0) return this.remembered.clear()
    const high = (this.tip?.number ?? 0n) - BigInt(top)
    for (const block of this.remembered) {
      if (block.number <= high && block.number > high - BigInt(span)) this.remembered.delete(block)
    }
  }

  /** The first block of a stream that resumes after a position. */
  startAfter(position: { readonly number: bigint; readonly hash: string } | undefined): bigint {
    if (position === undefined) return this.origin
    const block = this.byHash(position.hash)
    if (block === undefined || !this.has(block)) return position.number
    if (this.isCanonical(block)) return position.number + 1n
    let lowest = block
    while (lowest.parent !== undefined && !this.isCanonical(lowest.parent) && this.remembered.has(lowest.parent)) {
      lowest = lowest.parent
    }
    return lowest.number
  }

  private has(block: ModelBlock): boolean {
    return this.isCanonical(block) || this.remembered.has(block)
  }

  private orphan(from: number): void {
    for (const block of this.canonical.splice(from)) this.remembered.add(block)
  }

  private bear(parent: ModelBlock | undefined, rows: number | undefined): ModelBlock {
    const number = parent === undefined ? this.origin : parent.number + 1n
    const born = this.born++
    const block = { number, hash: hashOf(number, `born${born}`), parent, rows: rows ?? this.rowsOf(born), top: number }
    for (let below = parent; below !== undefined && below.top < number; below = below.parent) below.top = number
    this.every.set(block.hash, block)
    return block
  }
}

/** The blocks from the first one to `block`. */
export const ancestry = (block: ModelBlock | undefined): ReadonlyArray<ModelBlock> => {
  const blocks: Array<ModelBlock> = []
  for (let at = block; at !== undefined; at = at.parent) blocks.push(at)
  return blocks.reverse()
}
