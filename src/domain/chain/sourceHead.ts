/**
 * Decides from the rows of a `blocks` table whether a block is canonical, and where the chain of the source ends.
 *
 * One text of query serves both dialects: the blocks in question and the `WINDOW` blocks from the highest one on. An amp
 * server names its head beside the rows; of a nozzle server the rows are all there is. The window is a range of
 * numbers instead of a LIMIT, because without ORDER BY a LIMIT may return any rows, and with it the server sorts everything
 * above the block.
 */
import * as Result from "effect/Result"
import { type BlockRow, blockRows } from "../arrow/blockRows.ts"
import { decodeFrame, type DecoderState, noSchema } from "../arrow/decodeFrame.ts"
import { MalformedArrow } from "../arrow/MalformedArrow.ts"
import type { FlightData } from "../flight/FlightData.ts"
import type { BlockRange } from "./BlockRange.ts"
import type { Verdict } from "./FollowState.ts"
import { type MalformedMetadata, parseStreamMetadata } from "./StreamMetadata.ts"
import type { Watermark } from "./watermarks.ts"

/** The last block of the chain as the source serves it. */
export interface Head {
  readonly block: bigint
  readonly hash: string | undefined
  /** Unix seconds of the block, where the server reports them (amp). */
  readonly atSeconds: number | undefined
  /** False where the source may have more blocks: then the head is `block` or a later one. */
  readonly isExact: boolean
}

export interface HeadReport {
  /**
   * "canonical": the source shows the block. "orphaned": it shows another hash for that number, or its chain ends below it.
   * "unknown": it shows neither.
   */
  readonly verdict: Verdict
  /** Undefined where the source has no blocks, or does not show where they end. */
  readonly head: Head | undefined
}

/** Blocks read from the highest block in question on, that one included: more than this beyond it is a backlog, however long. */
const WINDOW = 100n
/** A server that sends more rows than this does not answer the question it was asked. */
const MAX_ROWS = 10_000

/** Asks for `blocks` and for what follows the highest of them. */
export const blocksQuery = (table: string, blocks: ReadonlyArray<bigint>): string => {
  const highest = highestOf(blocks)
  const others = [...new Set(blocks)].filter((block) => block !== highest)
  const window = `block_num BETWEEN ${highest} AND ${highest + WINDOW - 1n}`
  const condition = others.length === 0 ? window : `block_num IN (${others.join(", ")}) OR ${window}`
  return `SELECT block_num, hash FROM ${table} WHERE ${condition}`
}

/** Asks for the last block of a server that names no head and has no block at or above those in question. */
export const lastBlockQuery = (table: string): string =>
  `SELECT block_num, hash FROM ${table} ORDER BY block_num DESC LIMIT 1`

/** What the messages of an answer have shown so far. */
export interface BlocksAnswer {
  readonly decoder: DecoderState
  readonly rows: ReadonlyArray<BlockRow>
  /** The synced ranges of the table: an amp server repeats them with every batch. */
  readonly ranges: ReadonlyArray<BlockRange>
  /** Only an amp server says whether a range is complete: it is one that names its head. */
  readonly namesHead: boolean
}

export const emptyAnswer: BlocksAnswer = { decoder: noSchema, rows: [], ranges: [], namesHead: false }

/** Takes one message of an answer. */
export const readAnswer = (
  answer: BlocksAnswer,
  frame: FlightData
): Result.Result<BlocksAnswer, MalformedArrow | MalformedMetadata> =>
  Result.gen(function*() {
    const { batch, state } = yield* decodeFrame(answer.decoder, frame)
    const metadata = yield* parseStreamMetadata(frame.appMetadata)
    const rows = batch === undefined ? [] : yield* blockRows(batch)
    if (answer.rows.length + rows.length > MAX_ROWS) {
      return yield* Result.fail(new MalformedArrow({ reason: "it holds many more blocks than were asked for" }))
    }
    return {
      decoder: state,
      rows: [...answer.rows, ...rows],
      ranges: metadata?.ranges ?? answer.ranges,
      namesHead: answer.namesHead || metadata?.complete !== undefined
    }
  })

/** Whether only a second question, `lastBlockQuery`, can show where the chain ends. */
export const isHeadMissing = (answer: BlocksAnswer, blocks: ReadonlyArray<bigint>): boolean =>
  !answer.namesHead && !answer.rows.some(({ block }) => block >= highestOf(blocks))

/** Where the chain ends by the answer to `blocksQuery` of the same blocks. */
export const headOf = (
  answer: BlocksAnswer,
  network: string,
  blocks: ReadonlyArray<bigint>
): Head | undefined => {
  const synced = last(answer.ranges.filter((range) => range.network === network), ({ end }) => end)
  if (synced !== undefined) {
    return { block: synced.end, hash: synced.hash, atSeconds: synced.timestamp, isExact: true }
  }
  const highest = highestOf(blocks)
  const shown = last(answer.rows.filter(({ block }) => block >= highest), ({ block }) => block)
  if (answer.namesHead || shown === undefined) return undefined
  return { ...shown, atSeconds: undefined, isExact: shown.block < highest + WINDOW - 1n }
}

/** Where the chain ends by the answer to `lastBlockQuery`. */
export const lastBlockOf = ({ rows }: BlocksAnswer): Head | undefined => {
  const shown = last(rows, ({ block }) => block)
  return shown === undefined ? undefined : { ...shown, atSeconds: undefined, isExact: true }
}

/** Judges one block by what the source has shown. */
export const reportOn = (block: Watermark, rows: ReadonlyArray<BlockRow>, head: Head | undefined): HeadReport => {
  const shown = [...rows, ...(head === undefined ? [] : [head])].filter((row) => row.block === block.block)
  const hashes = shown.flatMap(({ hash }) => hash ?? [])
  const endsBelow = head !== undefined && head.isExact && head.block < block.block
  return {
    verdict: hashes.includes(block.hash) ? "canonical" : hashes.length > 0 || endsBelow ? "orphaned" : "unknown",
    head
  }
}

const highestOf = (blocks: ReadonlyArray<bigint>): bigint =>
  blocks.reduce((highest, block) => block > highest ? block : highest, 0n)

const last = <A>(values: ReadonlyArray<A>, numberOf: (value: A) => bigint): A | undefined =>
  values.reduce<A | undefined>(
    (best, value) => best === undefined || numberOf(value) > numberOf(best) ? value : best,
    undefined
  )
