import { type Checkpoint, emptyCheckpoint } from "../../../src/domain/chain/Checkpoint.ts"
import type { Chunk } from "../../../src/domain/chain/Chunk.ts"
import type { Reorg } from "../../../src/domain/chain/TableEvent.ts"
import { ancestry, type ModelBlock, type ModelChain } from "./ModelChain.ts"
import { type ModelRow, rowsOf } from "./ModelServer.ts"

export interface PlacedRow extends ModelRow {
  readonly position: bigint
}

export interface Strictness {
  /** No orphan became canonical again, no cursor was lost and no chain was replaced: deletions are checked too. */
  readonly judgesDeletions: boolean
}

/** What is durable, and the checks that hold after every commit. */
export class ModelTable {
  checkpoint: Checkpoint = emptyCheckpoint
  rows: ReadonlyArray<PlacedRow> = []
  commits = 0
  /** Reorgs that were recorded. */
  reorgs = 0
  private readonly chain: ModelChain
  /** Blocks that must be on top of every row. */
  private readonly confirmations: bigint

  constructor(chain: ModelChain, confirmations = 0) {
    this.chain = chain
    this.confirmations = BigInt(confirmations)
  }

  /** Delete, copy, record: as the sink does, all or nothing. */
  commit(
    chunk: Chunk,
    rows: ReadonlyArray<PlacedRow>,
    reorgs: ReadonlyArray<Reorg>,
    { judgesDeletions }: Strictness
  ): void {
    if (judgesDeletions) { for (const reorg of reorgs) this.checkDeletion(chunk, reorg) }
    const { deleteFrom } = chunk
    const kept = deleteFrom === "all"
      ? []
      : this.rows.filter((row) => deleteFrom === undefined || row.position < deleteFrom)
    this.rows = [...kept, ...rows]
    this.checkpoint = chunk.checkpoint
    this.commits += 1
    this.reorgs += chunk.reorgs.length
    this.checkRows()
    this.checkConfirmations()
    const provisional = this.provisional.length
    if (deleteFrom !== undefined && provisional !== chunk.provisionalRows) {
      throw new Error(`${provisional} rows are provisional, the chunk counts ${chunk.provisionalRows}`)
    }
  }

  get watermark() {
    return this.checkpoint.history.at(-1)
  }

  get provisional(): ReadonlyArray<PlacedRow> {
    const { watermark } = this
    return this.rows.filter((row) => watermark === undefined || row.position > watermark.block)
  }

  /** Rows up to the watermark are exactly the chain its hash identifies, unless they are marked as unverified. */
  private checkRows(): void {
    const keys = new Set(this.rows.map((row) => `${row.hash} ${row.index}`))
    if (keys.size !== this.rows.length) throw new Error("rows are there twice")
    const { watermark } = this
    if (watermark === undefined) return
    const block = this.chain.byHash(watermark.hash)
    if (block?.number !== watermark.block) throw new Error(`watermark ${watermark.block} is no block of that hash`)
    if (this.checkpoint.unverifiedFrom !== undefined) return
    const stored = this.rows.filter((row) => row.position <= watermark.block)
    const difference = compare(stored, ancestry(block))
    if (difference !== undefined) throw new Error(`up to the watermark ${watermark.block} ${difference}`)
  }

  /** The chain once had so many blocks on top of every row and of the watermark: none was shown before. */
  private checkConfirmations(): void {
    if (this.checkpoint.unverifiedFrom !== undefined) return
    for (const hash of [this.watermark?.hash, ...this.rows.map((row) => row.hash)]) {
      const block = hash === undefined ? undefined : this.chain.byHash(hash)
      if (block !== undefined && block.top < block.number + this.confirmations) {
        throw new Error(`block ${block.number} was written when the chain had grown to ${block.top} only`)
      }
    }
  }

  /** Invariant I2: what was recorded and is canonical on the chain that replaces stays. */
  private checkDeletion(chunk: Chunk, { range }: Reorg): void {
    const replacing = new Set(ancestry(this.chain.byHash(range.hash)).map((block) => block.hash))
    const canonical = this.checkpoint.history.findLast((entry) => replacing.has(entry.hash))
    if (canonical === undefined) return
    if (chunk.deleteFrom === "all" || (chunk.deleteFrom !== undefined && chunk.deleteFrom <= canonical.block)) {
      throw new Error(`I2: rows from ${chunk.deleteFrom} on were deleted, block ${canonical.block} is canonical`)
    }
  }
}

/** The first difference between stored rows and those of a chain; undefined where there is none. */
export const compare = (stored: ReadonlyArray<ModelRow>, chain: ReadonlyArray<ModelBlock>): string | undefined => {
  const expected = new Set(chain.flatMap(rowsOf).map((row) => `${row.block} ${row.hash} ${row.index}`))
  for (const row of stored) {
    if (!expected.delete(`${row.block} ${row.hash} ${row.index}`)) return `a row of block ${row.block} is too much`
  }
  const [missing] = expected
  return missing === undefined ? undefined : `a row of block ${missing.split(" ")[0]} is missing`
}
