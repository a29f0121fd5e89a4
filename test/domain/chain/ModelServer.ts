import type { BlockRange } from "../../../src/domain/chain/BlockRange.ts"
import type { Verdict } from "../../../src/domain/chain/followFrame.ts"
import type { StreamMetadata } from "../../../src/domain/chain/StreamMetadata.ts"
import type { Watermark } from "../../../src/domain/chain/watermarks.ts"
import { network } from "../../support/scenario.ts"
import { ancestry, type ModelBlock, type ModelChain } from "./ModelChain.ts"

export interface ModelRow {
  readonly block: number
  readonly hash: string
  readonly index: number
}

export interface ModelMessage {
  readonly metadata: StreamMetadata | undefined
  readonly rows: ReadonlyArray<ModelRow>
}

/** One stream, as either dialect's server sends it; pulled message by message. */
export class ModelServer {
  readonly chain: ModelChain
  readonly dialect: "nozzle" | "amp"
  private readonly verifiable: boolean
  maxBlocks: number
  /** How many of the next streams lose their cursor on the way. */
  ignoring = 0
  private position: { readonly number: bigint; readonly hash: string } | undefined
  private queue: Array<ModelMessage> = []

  constructor(chain: ModelChain, dialect: "nozzle" | "amp", verifiable: boolean, maxBlocks: number) {
    this.chain = chain
    this.dialect = dialect
    this.verifiable = verifiable
    this.maxBlocks = maxBlocks
  }

  connect(cursor: Watermark | undefined): void {
    const ignored = cursor !== undefined && this.ignoring > 0
    if (ignored) this.ignoring -= 1
    this.position = cursor === undefined || ignored ? undefined : { number: cursor.block, hash: cursor.hash }
    this.queue = [{ metadata: undefined, rows: [] }]
    if (this.chain.tip === undefined && this.dialect === "amp") {
      this.queue.push({ metadata: { ranges: [], complete: true }, rows: [] })
    }
  }

  /** The next message; undefined while there is nothing to send. */
  pull(): ModelMessage | undefined {
    while (this.queue.length === 0) {
      const range = this.nextRange()
      if (range === undefined) return undefined
      this.position = { number: range.last.number, hash: range.last.hash }
      this.queue = this.messages(range)
    }
    return this.queue.shift()
  }

  verdict(watermark: Watermark): Verdict {
    const block = this.verifiable ? this.chain.at(watermark.block) : undefined
    return block === undefined ? "unknown" : block.hash === watermark.hash ? "canonical" : "orphaned"
  }

  private nextRange() {
    const first = this.chain.at(this.chain.startAfter(this.position))
    const tip = this.chain.tip
    if (first === undefined || tip === undefined) return undefined
    const limit = first.number + BigInt(this.maxBlocks) - 1n
    const last = this.chain.at(tip.number < limit ? tip.number : limit)!
    return { first, last }
  }

  private messages({ first, last }: { first: ModelBlock; last: ModelBlock }): Array<ModelMessage> {
    const range: BlockRange = {
      network,
      start: first.number,
      end: last.number,
      hash: last.hash,
      prevHash: this.chain.parentHash(first),
      timestamp: undefined
    }
    const rows = ancestry(last).filter((block) => block.number >= first.number).flatMap(rowsOf)
    const middle = rows.length >> 1
    const pieces = [rows.slice(0, middle), rows.slice(middle)].filter((piece) => piece.length > 0)
    const metadata = (complete: boolean): StreamMetadata => ({
      ranges: [range],
      complete: this.dialect === "nozzle" ? undefined : complete
    })
    const data = pieces.map((piece) => ({ metadata: metadata(false), rows: piece }))
    if (this.dialect === "nozzle") return data
    const keepAlive = range.start % 2n === 0n ? [{ metadata: metadata(false), rows: [] }] : []
    return [...keepAlive, ...data, { metadata: metadata(true), rows: [] }]
  }
}

export const rowsOf = (block: ModelBlock): ReadonlyArray<ModelRow> =>
  Array.from({ length: block.rows }, (_, index) => ({ block: Number(block.number), hash: block.hash, index }))
