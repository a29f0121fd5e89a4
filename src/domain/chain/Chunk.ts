import type { BlockRange } from "./BlockRange.ts"
import type { Known, Rewind } from "./follow.ts"
import type { Watermark } from "./watermarks.ts"
import { isSameWatermark } from "./watermarks.ts"

/** What a table's stream comes down to; `known` is what will be known once this part is durable. */
export type Part =
  | { readonly _tag: "Rewind"; readonly rewind: Rewind; readonly known: Known }
  | {
    readonly _tag: "Range"
    readonly range: BlockRange
    readonly known: Known
    /** Its watermark comes as soon as it is complete; otherwise only with the range after it. */
    readonly endIsTold: boolean
  }
  | { readonly _tag: "Watermark"; readonly range: BlockRange; readonly known: Known }
  /** COPY BINARY tuples of rows of the range before. */
  | { readonly _tag: "Rows"; readonly bytes: Uint8Array; readonly rows: number }

export interface Reorg {
  readonly firstBlock: bigint
  /** The newest block known before, where one was. */
  readonly replaced: Watermark | undefined
  /** Hash of the last block of the range that replaced it. */
  readonly newHash: string
}

/** What one transaction does, in this order: delete, copy, record. */
export interface Chunk {
  /** Rows at and above this block go first; all rows; none where absent. */
  readonly deleteFrom: bigint | "all" | undefined
  readonly reorgs: ReadonlyArray<Reorg>
  /** COPY BINARY tuples, without header and trailer. */
  readonly pieces: ReadonlyArray<Uint8Array>
  readonly rows: number
  readonly sizeBytes: number
  /** Rows of this chunk above the watermark it ends with. */
  readonly openRows: number
  /** First and last block of the ranges this chunk is about. */
  readonly firstBlock: bigint | undefined
  readonly lastBlock: bigint | undefined
  /** The range that rows added now belong to. */
  readonly range: BlockRange | undefined
  /** What was durable before, and what is known once this chunk is. */
  readonly before: Known
  readonly known: Known
  /** The newest complete range in it. */
  readonly completed: BlockRange | undefined
}

/** Nothing yet, after `known` became durable. */
export const emptyChunk = (known: Known, deleteFrom?: bigint | "all"): Chunk => ({
  deleteFrom,
  reorgs: [],
  pieces: [],
  rows: 0,
  sizeBytes: 0,
  openRows: 0,
  firstBlock: undefined,
  lastBlock: undefined,
  range: undefined,
  before: known,
  known,
  completed: undefined
})

/** Nothing yet, after `chunk` became durable; a range may go on from one to the next. */
export const nextChunk = (chunk: Chunk): Chunk => ({ ...emptyChunk(chunk.known), range: chunk.range })

/**
 * The first chunk of a connection: it owes the deletion of everything above the watermark, because what was delivered
 * above it before will be delivered again.
 */
export const firstChunk = (known: Known): Chunk => {
  const watermark = known.history.at(-1)
  return emptyChunk(known, watermark === undefined ? "all" : watermark.block + 1n)
}

/** Each piece costs a copy of the list before it and a write of its own: a sparse table must not gather them without end. */
const MAX_PIECES = 2_000

export const isFull = (chunk: Chunk, rows: number, sizeBytes: number): boolean =>
  chunk.rows >= rows || chunk.sizeBytes >= sizeBytes || chunk.pieces.length >= MAX_PIECES

/** There is something to commit: a deletion alone waits for what follows it, so that readers never see a hole. */
export const isWorthCommitting = (chunk: Chunk): boolean =>
  chunk.rows > 0 || (chunk.completed !== undefined && (chunk.reorgs.length > 0 || watermarkMoves(chunk)))

const watermarkMoves = ({ before, known }: Chunk): boolean =>
  !isSameWatermark(before.history.at(-1), known.history.at(-1))

/** Whether `part` must not share a transaction with what is in `chunk` already. */
export const closesGroup = (chunk: Chunk, part: Part): boolean => part._tag === "Rewind" && isWorthCommitting(chunk)

export const addPart = (chunk: Chunk, part: Part): Chunk => {
  switch (part._tag) {
    case "Rows":
      return {
        ...chunk,
        firstBlock: chunk.firstBlock ?? chunk.range?.start,
        lastBlock: chunk.lastBlock ?? chunk.range?.end,
        pieces: [...chunk.pieces, part.bytes],
        rows: chunk.rows + part.rows,
        openRows: chunk.openRows + part.rows,
        sizeBytes: chunk.sizeBytes + part.bytes.length
      }
    case "Range":
      return {
        ...chunk,
        known: part.known,
        range: part.range,
        firstBlock: chunk.firstBlock ?? part.range.start,
        lastBlock: part.range.end
      }
    case "Watermark":
      return {
        ...chunk,
        known: part.known,
        openRows: 0,
        completed: part.range,
        firstBlock: chunk.firstBlock ?? part.range.start,
        lastBlock: chunk.lastBlock ?? part.range.end
      }
    case "Rewind":
      return {
        ...chunk,
        known: part.known,
        completed: undefined,
        firstBlock: undefined,
        lastBlock: undefined,
        deleteFrom: lower(chunk.deleteFrom, part.rewind.deleteFrom ?? "all"),
        reorgs: [...chunk.reorgs, reorgOf(part.rewind)]
      }
  }
}

const lower = (a: Chunk["deleteFrom"], b: bigint | "all"): bigint | "all" =>
  a === "all" || b === "all" ? "all" : a === undefined || b < a ? b : a

const reorgOf = (rewind: Rewind): Reorg => ({
  firstBlock: rewind.deleteFrom ?? rewind.range.start,
  replaced: rewind.replaced,
  newHash: rewind.range.hash
})
