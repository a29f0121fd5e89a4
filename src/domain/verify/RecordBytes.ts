/** COPY BINARY tuples as the bytes that PostgreSQL's `record_send` makes of the same rows. */
import { jsonbText } from "./jsonbText.ts"

/** A column of the rows that are compared. */
export interface RecordColumn {
  /** Of its type in `pg_type`. */
  readonly typeOid: number
  /** As `format_type` prints it. */
  readonly type: string
}

/** Returns the field as the database sends it back. */
type Normalize = (field: Uint8Array) => Uint8Array

/**
 * Reads tuples one by one.
 *
 * Tuple: int16 number of fields, then per field int32 length (-1 for NULL) and value. Record: int32 number of columns, then per
 * column uint32 type, int32 length and value. Fields of a tuple after the last column are left out. Source: PostgreSQL,
 * utils/adt/rowtypes.c, `record_send`.
 */
export class RecordBytes {
  /** The value of the position column in the tuple read last. */
  position = 0n
  readonly #columns: ReadonlyArray<{ readonly typeOid: number; readonly normalize: Normalize }>
  readonly #positionIndex: number
  #bytes = new Uint8Array(4096)
  #view = new DataView(this.#bytes.buffer)
  #end = 0

  /** `positionIndex`: the column that is a BIGINT with the position of the row; -1 where there is none. */
  constructor(columns: ReadonlyArray<RecordColumn>, positionIndex: number) {
    this.#columns = columns.map(({ type, typeOid }) => ({ typeOid, normalize: normalizeOf(type) }))
    this.#positionIndex = positionIndex
  }

  /** The record of the tuple read last; valid until the next one is read. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#end)
  }

  /** Reads the tuple at `at` of `tuples`; returns the offset after it. */
  read(tuples: Uint8Array, view: DataView, at: number): number {
    const fields = view.getInt16(at)
    let next = at + 2
    this.#end = 0
    this.#int32(this.#columns.length)
    for (let index = 0; index < fields; index++) {
      const length = view.getInt32(next)
      const start = next + 4
      next = start + Math.max(length, 0)
      const column = this.#columns[index]
      if (column === undefined) continue
      if (index === this.#positionIndex) this.position = view.getBigInt64(start)
      this.#int32(column.typeOid)
      if (length < 0) this.#int32(-1)
      else this.#value(column.normalize(tuples.subarray(start, next)))
    }
    return next
  }

  #value(value: Uint8Array): void {
    this.#int32(value.length)
    this.#reserve(value.length)
    this.#bytes.set(value, this.#end)
    this.#end += value.length
  }

  #int32(value: number): void {
    this.#reserve(4)
    this.#view.setInt32(this.#end, value)
    this.#end += 4
  }

  #reserve(length: number): void {
    if (this.#end + length <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#end + length))
    larger.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

/** JSON is printed in a form of its own, and a number is padded to the scale of its column. */
const normalizeOf = (type: string): Normalize => {
  if (type === "jsonb") return printedJsonb
  const [, scale] = /^numeric\(\d+,(\d+)\)$/.exec(type) ?? []
  return scale === undefined ? (field) => field : (field) => withScale(field, Number(scale))
}

const decoder = new TextDecoder("utf-8", { fatal: true })
const encoder = new TextEncoder()

/** Shape on both sides: one byte version 1, then the text. */
const printedJsonb = (field: Uint8Array): Uint8Array => {
  const text = encoder.encode(jsonbText(decoder.decode(field.subarray(1))))
  const printed = new Uint8Array(text.length + 1)
  printed[0] = field[0]!
  printed.set(text, 1)
  return printed
}

/** Shape: int16 number of digits, weight, sign and display scale, then the digits. Source: PostgreSQL, utils/adt/numeric.c. */
const withScale = (field: Uint8Array, scale: number): Uint8Array => {
  const padded = field.slice()
  padded[6] = scale >> 8
  padded[7] = scale & 0xff
  return padded
}
