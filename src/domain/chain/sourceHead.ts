/**
 * Decides from the rows of a `blocks` table whether a block is canonical, and where the chain of the source ends.
 *
 * One query serves both dialects: the blocks to verify and the `WINDOW` blocks from the highest one on. An amp server
 * declares its head in the metadata; a nozzle server sends rows only. The window is a range of numbers instead of a LIMIT,
 * because without ORDER BY a LIMIT may return any rows, and with it the server sorts everything above the block.
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

/** A query of the head has to name a block, also where none is known. */
export const ANY_BLOCK: Watermark = { block: 0n, hash: "" }

/** The last block of the chain as the source serves it. */
export interface Head {
  readonly block: bigint
  readonly hash: string | undefined
  /** Unix seconds of the block, where the server reports them (amp). */
  readonly atSeconds: number | undefined
  /** False where the source may have more blocks: then the head is `block` or a later one. */
  readonly isExact: boolean
}

/** The verdict on a block, and the head of the source. */
export interface HeadReport {
  /**
   * "canonical": the source has the block. "orphaned": it has another hash for that number, or its chain ends below it.
   * "unknown": it returned neither.
   */
  readonly verdict: Verdict
  /** Undefined where the source has no blocks, or does not show where they end. */
  readonly head: Head | undefined
  /** The head was read after the verdict, so it may be of another chain than the block. */
  readonly isHeadLater?: boolean
  /** Where the chain ends, read later, because `head` is not exact: for people, not for decisions. Absent where it is not known. */
  readonly end?: Head
}

/** Blocks read from the highest block to verify on, that one included. More blocks than this are a backlog anyway. */
const WINDOW = 100n
/** A server that sends more rows than this does not answer the query it was sent. */
const MAX_ROWS = 10_000

/** The query for `blocks`, for those after the highest of them, and for the blocks of `tips`, as far as they exist. */
export const blocksQuery = (
  table: string,
  blocks: ReadonlyArray<bigint>,
  tips: ReadonlyArray<bigint> = []
): string => {
  const highest = highestOf(blocks)
  const isInWindow = (block: bigint) => block >= highest && block < highest + WINDOW
  const others = [...new Set([...blocks, ...tips])].filter((block) => !isInWindow(block))
  const window = `block_num BETWEEN ${highest} AND ${highest + WINDOW - 1n}`
  const condition = others.length === 0 ? window : `block_num IN (${others.join(", ")}) OR ${window}`
  return `SELECT block_num, hash FROM ${table} WHERE ${condition}`
}

/** The query for the last block, for a server that declares no head and has no block at or above those to verify. */
export const lastBlockQuery = (table: string): string =>
  `SELECT block_num, hash FROM ${table} ORDER BY block_num DESC LIMIT 1`

/** The messages of a response so far. */
export interface BlocksResponse {
  readonly decoder: DecoderState
  readonly rows: ReadonlyArray<BlockRow>
  /** The synced ranges of the table: an amp server repeats them with every batch. */
  readonly ranges: ReadonlyArray<BlockRange>
  /** Whether the server declares its head: an amp server does, and only those declare whether a range is complete. */
  readonly declaresHead: boolean
}

export const emptyResponse: BlocksResponse = { decoder: noSchema, rows: [], ranges: [], declaresHead: false }

/** Adds one message to a response. */
export const readResponse = (
  response: BlocksResponse,
  frame: FlightData
): Result.Result<BlocksResponse, MalformedArrow | MalformedMetadata> =>
  Result.gen(function*() {
    const { batch, state } = yield* decodeFrame(response.decoder, frame)
    const metadata = yield* parseStreamMetadata(frame.appMetadata)
    const rows = batch === undefined ? [] : yield* blockRows(batch)
    if (response.rows.length + rows.length > MAX_ROWS) {
      return yield* Result.fail(new MalformedArrow({ reason: "it contains many more blocks than were requested" }))
    }
    return {
      decoder: state,
      rows: [...response.rows, ...rows],
      ranges: metadata?.ranges ?? response.ranges,
      declaresHead: response.declaresHead || metadata?.complete !== undefined
    }
  })

/** Whether a second query, `lastBlockQuery`, is needed to find where the chain ends. */
export const isHeadMissing = (response: BlocksResponse, blocks: ReadonlyArray<bigint>): boolean =>
  !response.declaresHead && !response.rows.some(({ block }) => block >= highestOf(blocks))

/** The head according to the response to `blocksQuery` of the same blocks. */
export const headOf = (
  response: BlocksResponse,
  network: string,
  blocks: ReadonlyArray<bigint>
): Head | undefined => {
  const synced = last(response.ranges.filter((range) => range.network === network), ({ end }) => end)
  if (synced !== undefined) {
    return { block: synced.end, hash: synced.hash, atSeconds: synced.timestamp, isExact: true }
  }
  const highest = highestOf(blocks)
  const found = last(response.rows.filter(({ block }) => block >= highest), ({ block }) => block)
  if (response.declaresHead || found === undefined) return undefined
  return { ...found, atSeconds: undefined, isExact: found.block < highest + WINDOW - 1n }
}

/** The head according to the response to `lastBlockQuery`. */
export const lastBlockOf = ({ rows }: BlocksResponse): Head | undefined => {
  const found = last(rows, ({ block }) => block)
  return found === undefined ? undefined : { ...found, atSeconds: undefined, isExact: true }
}

/** Decides whether `block` is canonical by the rows and the head that the source returned. */
export const reportOn = (
  block: Watermark,
  rows: ReadonlyArray<BlockRow>,
  head: Head | undefined,
  isHeadLater = false
): HeadReport => {
  const found = [...rows, ...(head === undefined ? [] : [head])].filter((row) => row.block === block.block)
  const hashes = found.flatMap(({ hash }) => hash ?? [])
  const endsBelow = head !== undefined && head.isExact && head.block < block.block
  if (hashes.includes(block.hash)) return { verdict: "canonical", head, ...(isHeadLater ? { isHeadLater } : {}) }
  return { verdict: hashes.length > 0 || endsBelow ? "orphaned" : "unknown", head }
}

const highestOf = (blocks: ReadonlyArray<bigint>): bigint =>
  blocks.reduce((highest, block) => block > highest ? block : highest, 0n)

const last = <A>(values: ReadonlyArray<A>, numberOf: (value: A) => bigint): A | undefined =>
  values.reduce<A | undefined>(
    (best, value) => best === undefined || numberOf(value) > numberOf(best) ? value : best,
    undefined
  )
