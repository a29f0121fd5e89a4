/** Reads the number and the hash of each block from a batch of a `blocks` table. */
import type * as Result from "effect/Result"
import { type Column, type ColumnBatch, isNull, viewOf } from "./ColumnBatch.ts"
import { attempt, type MalformedArrow, reject } from "./MalformedArrow.ts"

/** One row of a `blocks` table. */
export interface BlockRow {
  readonly block: bigint
  /** `0x` and 64 lower-case hex digits. */
  readonly hash: string
}

/**
 * The columns `block_num` and `hash` of every row, in the order of the rows.
 *
 * Shape: a 64-bit integer and 32 bytes, neither of them null. Fails: `MalformedArrow` where the columns are missing or of
 * another type, so that an unreadable response is never taken for "no such block".
 */
export const blockRows = (batch: ColumnBatch): Result.Result<ReadonlyArray<BlockRow>, MalformedArrow> =>
  attempt(() => {
    const number = columnNamed(batch, "block_num")
    const hash = columnNamed(batch, "hash")
    const { type: numberType } = number.field
    const { type: hashType } = hash.field
    if (numberType.kind !== "int" || numberType.bits !== 64) reject("the column block_num holds no 64-bit integers")
    if (hashType.kind !== "fixedSizeBinary" || hashType.width !== 32) reject("the column hash holds no 32-byte values")
    const numbers = viewOf(valuesOf(number))
    const hashes = valuesOf(hash)
    return Array.from({ length: batch.rows }, (_, row) => {
      if (isNull(number.validity, row) || isNull(hash.validity, row)) reject("a block has no number or no hash")
      return { block: numbers.getBigUint64(8 * row, true), hash: hexOf(hashes.subarray(32 * row, 32 * row + 32)) }
    })
  })

const columnNamed = (batch: ColumnBatch, name: string): Column =>
  batch.columns.find(({ field }) => field.name === name) ?? reject(`it has no column ${name}`)

const valuesOf = ({ buffers }: Column): Uint8Array => buffers[0] ?? reject("a column has no values")

const hexOf = (bytes: Uint8Array): string =>
  `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`
