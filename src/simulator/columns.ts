/** Growing columns of the simulator, from which record batches and expected values are read. */
import type { ArrowField, ArrowType } from "../domain/arrow/ArrowSchema.ts"

/**
 * Growing columns: the rows of one block after the other are appended to a few large arrays.
 *
 * Arrow bodies are copied out of them in bulk, and expected values are read out of them one at a time. Arrays per value, or
 * per block and column, would cost more in garbage collection than everything else together.
 */
export type Column =
  | { readonly kind: "fixed"; readonly width: number; readonly values: GrowingBytes; readonly present: Present }
  | { readonly kind: "bool"; readonly values: GrowingBytes; readonly present: Present }
  | {
    readonly kind: "varying"
    readonly offsets: GrowingOffsets
    readonly values: GrowingBytes
    readonly present: Present
  }
  | { readonly kind: "list"; readonly offsets: GrowingOffsets; readonly item: Column; readonly present: Present }
  | { readonly kind: "struct"; readonly fields: ReadonlyArray<Column>; readonly present: Present }

/** One byte per row, 0 for null; absent where no row can be null. */
export type Present = GrowingBytes | undefined

/** Bytes that are appended to. `bytes` is replaced when it grows: do not keep it. */
export class GrowingBytes {
  bytes: Uint8Array = new Uint8Array(1024)
  view: DataView = new DataView(this.bytes.buffer)
  length = 0

  /** Makes room for `count` more bytes; returns the offset of the first. */
  reserve(count: number): number {
    const at = this.length
    this.length += count
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.bytes.length * 2))
      grown.set(this.bytes)
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    return at
  }
}

/** The offset of each value, and the end of the last one. */
export class GrowingOffsets {
  offsets: Int32Array = new Int32Array(256)
  rows = 0

  /** Appends one value of `length`. */
  push(length: number): void {
    if (this.rows + 2 > this.offsets.length) {
      const grown = new Int32Array(this.offsets.length * 2)
      grown.set(this.offsets)
      this.offsets = grown
    }
    this.offsets[this.rows + 1] = this.offsets[this.rows]! + length
    this.rows += 1
  }
}

/** A column without rows yet. */
export const newColumn = ({ nullable, type }: Pick<ArrowField, "nullable" | "type">): Column => {
  const present = nullable ? new GrowingBytes() : undefined
  if (type.kind === "bool") return { kind: "bool", values: new GrowingBytes(), present }
  if (type.kind === "list") return { kind: "list", offsets: new GrowingOffsets(), item: newColumn(type.item), present }
  if (type.kind === "struct") return { kind: "struct", fields: type.fields.map(newColumn), present }
  if (type.kind === "utf8" || type.kind === "binary") {
    return { kind: "varying", offsets: new GrowingOffsets(), values: new GrowingBytes(), present }
  }
  const width = type.kind === "fixedSizeBinary"
    ? type.width
    : type.kind === "int" || type.kind === "decimal"
    ? type.bits / 8
    : type.kind === "timestamp"
    ? 8
    : undefined
  if (width === undefined) throw new Error(`the simulator has no columns of type ${type.kind}`)
  return { kind: "fixed", width, values: new GrowingBytes(), present }
}

/** Appends the value of `row` in `from` to a column of the same type. */
export const appendRow = (from: Column, row: number, to: Column): void => {
  if (from.present !== undefined && to.present !== undefined) {
    const at = to.present.reserve(1)
    to.present.bytes[at] = from.present.bytes[row]!
  }
  if (from.kind === "fixed" && to.kind === "fixed") {
    const at = to.values.reserve(from.width)
    to.values.bytes.set(from.values.bytes.subarray(row * from.width, (row + 1) * from.width), at)
  } else if (from.kind === "bool" && to.kind === "bool") {
    const at = to.values.reserve(1)
    to.values.bytes[at] = from.values.bytes[row]!
  } else if (from.kind === "varying" && to.kind === "varying") {
    const [start, end] = [from.offsets.offsets[row]!, from.offsets.offsets[row + 1]!]
    const at = to.values.reserve(end - start)
    to.values.bytes.set(from.values.bytes.subarray(start, end), at)
    to.offsets.push(end - start)
  } else if (from.kind === "list" && to.kind === "list") {
    const [start, end] = [from.offsets.offsets[row]!, from.offsets.offsets[row + 1]!]
    for (let item = start; item < end; item += 1) appendRow(from.item, item, to.item)
    to.offsets.push(end - start)
  } else if (from.kind === "struct" && to.kind === "struct") {
    from.fields.forEach((field, i) => appendRow(field, row, to.fields[i]!))
  } else throw new Error(`a ${to.kind} column cannot take values of a ${from.kind} column`)
}

/** A plain value, for comparison. Timestamps are nanoseconds since 1970, decimals are unscaled. */
export type PlainValue =
  | bigint
  | number
  | boolean
  | string
  | Uint8Array
  | null
  | ReadonlyArray<PlainValue>
  | { readonly [field: string]: PlainValue }

const fixedValue = (type: ArrowType, column: Extract<Column, { kind: "fixed" }>, row: number): PlainValue => {
  const { values: { bytes, view }, width } = column
  const at = row * width
  if (type.kind === "fixedSizeBinary") return bytes.slice(at, at + width)
  if (type.kind === "timestamp") return view.getBigInt64(at, true)
  if (type.kind === "decimal") {
    let value = view.getBigInt64(at + width - 8, true)
    for (let word = at + width - 16; word >= at; word -= 8) value = (value << 64n) | view.getBigUint64(word, true)
    return value
  }
  if (type.kind === "int" && width === 8) return type.signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true)
  if (type.kind === "int" && width === 4) return type.signed ? view.getInt32(at, true) : view.getUint32(at, true)
  if (type.kind === "int" && width === 2) return type.signed ? view.getInt16(at, true) : view.getUint16(at, true)
  if (type.kind === "int" && width === 1) return type.signed ? view.getInt8(at) : view.getUint8(at)
  throw new Error(`the simulator has no values of type ${type.kind}`)
}

const DECODER = new TextDecoder()

/** The value of `row` in a column of `type`; bytes are copied. */
export const valueAt = (type: ArrowType, column: Column, row: number): PlainValue => {
  if (column.present?.bytes[row] === 0) return null
  if (column.kind === "fixed") return fixedValue(type, column, row)
  if (column.kind === "bool") return column.values.bytes[row] !== 0
  if (column.kind === "struct") {
    const fields = type.kind === "struct" ? type.fields : []
    return Object.fromEntries(fields.map((field, i) => [field.name, valueAt(field.type, column.fields[i]!, row)]))
  }
  const start = column.offsets.offsets[row]!
  const end = column.offsets.offsets[row + 1]!
  if (column.kind === "varying") {
    const bytes = column.values.bytes.slice(start, end)
    return type.kind === "utf8" ? DECODER.decode(bytes) : bytes
  }
  if (type.kind !== "list") throw new Error("a list column needs a list type")
  return Array.from({ length: end - start }, (_, i) => valueAt(type.item.type, column.item, start + i))
}
