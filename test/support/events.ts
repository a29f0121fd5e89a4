/** Events of a table without a stream, and the batches they carry. */
import type { ColumnBatch } from "../../src/domain/arrow/ColumnBatch.ts"
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import type { Checkpoint } from "../../src/domain/chain/Checkpoint.ts"
import type { RangeCompleted, RangeStarted, Reorg, Rows } from "../../src/domain/chain/TableEvent.ts"
import { batchOf, columnOf, field } from "../domain/arrow/columns.ts"
import { block, checkpoint, range } from "./scenario.ts"

export const started = (start: number, end: number, after: Checkpoint, endIsDeclared = true): RangeStarted => ({
  _tag: "RangeStarted",
  range: range(start, end),
  checkpoint: after,
  endIsDeclared
})

export const completed = (start: number, end: number, after: Checkpoint): RangeCompleted => ({
  _tag: "Watermark",
  range: range(start, end),
  checkpoint: after
})

/** Blocks from `deleteFrom` on, or all of them, are replaced by those up to `end` of branch `b`. */
export const reorged = (deleteFrom: number | undefined, end: number, after: Checkpoint): Reorg => ({
  _tag: "Reorg",
  deleteFrom: deleteFrom === undefined ? undefined : BigInt(deleteFrom),
  watermark: after.history.at(-1),
  replaced: block("12a"),
  range: range(deleteFrom ?? 0, end, "b"),
  checkpoint: after
})

/** Complete up to a block; nothing where there is none before it. */
export const upTo = (number: number): Checkpoint => (number < 0 ? checkpoint() : checkpoint(`${number}a`))

export const batchFields = [
  field("_block_num", { kind: "int", bits: 64, signed: false }, false),
  field("data", { kind: "binary", offsets: 32 }, false)
] as const

export interface RowOptions {
  /** Bytes of every value. */
  readonly valueBytes?: number
  /** Declared size of the message in memory; that of its values where absent. */
  readonly sizeBytes?: number
}

/** A batch with a row per entry of `blocks`. */
export const batch = (
  blocks: ReadonlyArray<number>,
  { sizeBytes, valueBytes = 4 }: RowOptions = {}
): ColumnBatch => ({
  ...batchOf([
    columnOf(batchFields[0], blocks.map(BigInt)),
    columnOf(batchFields[1], blocks.map(() => new Uint8Array(valueBytes)))
  ]),
  sizeBytes: sizeBytes ?? blocks.length * (8 + valueBytes)
})

/** `count` rows of block `at` of a range. */
export const rows = (
  of: BlockRange,
  count: number,
  { at = Number(of.start), ...options }: RowOptions & { readonly at?: number } = {}
): Rows<ColumnBatch> => ({
  _tag: "Rows",
  batch: batch(Array<number>(count).fill(at), options),
  range: of
})

/** A range with `count` rows of its first block: amp declares its end, of nozzle's ranges the next one does. */
export const wholeRange = (
  start: number,
  blocks: number,
  count: number,
  options: RowOptions & { readonly dialect?: "amp" | "nozzle" } = {}
) => {
  const end = start + blocks - 1
  const of = range(start, end)
  const data = count === 0 ? [] : [rows(of, count, options)]
  return options.dialect === "nozzle"
    ? [
      ...(start === 0 ? [] : [completed(start - 1, start - 1, upTo(start - 1))]),
      started(start, end, upTo(start - 1), false),
      ...data
    ]
    : [started(start, end, upTo(start - 1)), ...data, completed(start, end, upTo(end))]
}
