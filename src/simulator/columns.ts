import type { ArrowType } from "../domain/arrow/ArrowSchema.ts"

/**
 * The values of one column of one block, column by column and not row by row: what Arrow sends is copied out of these
 * bytes, and what a judge compares with is read out of them one value at a time.
 *
 * `present` holds one byte per row (0 = null); absent means that no row is null.
 */
export type ColumnData =
  | { readonly kind: "fixed"; readonly width: number; readonly bytes: Uint8Array; readonly present: Present }
  | { readonly kind: "bool"; readonly values: Uint8Array; readonly present: Present }
  | { readonly kind: "varying"; readonly offsets: Int32Array; readonly bytes: Uint8Array; readonly present: Present }
  | { readonly kind: "list"; readonly offsets: Int32Array; readonly item: ColumnData; readonly present: Present }
  | { readonly kind: "struct"; readonly fields: ReadonlyArray<ColumnData>; readonly present: Present }

export type Present = Uint8Array | undefined

/** A value as a judge sees it. Timestamps are nanoseconds since 1970, decimals are unscaled. */
export type PlainValue =
  | bigint
  | number
  | boolean
  | string
  | Uint8Array
  | null
  | ReadonlyArray<PlainValue>
  | { readonly [field: string]: PlainValue }

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const fixedValue = (type: ArrowType, bytes: Uint8Array): PlainValue => {
  const view = viewOf(bytes)
  if (type.kind === "fixedSizeBinary") return bytes
  if (type.kind === "timestamp") return view.getBigInt64(0, true)
  if (type.kind === "decimal") return (view.getBigInt64(8, true) << 64n) | view.getBigUint64(0, true)
  if (type.kind === "int" && type.bits === 64) {
    return type.signed
      ? view.getBigInt64(0, true)
      : view.getBigUint64(0, true)
  }
  if (type.kind === "int" && type.bits === 32) return type.signed ? view.getInt32(0, true) : view.getUint32(0, true)
  throw new Error(`the simulator has no values of type ${type.kind}`)
}

const listValue = (type: ArrowType, data: Extract<ColumnData, { kind: "list" }>, row: number): PlainValue => {
  if (type.kind !== "list") throw new Error("a list column needs a list type")
  const values: Array<PlainValue> = []
  for (let item = data.offsets[row]!; item < data.offsets[row + 1]!; item += 1) {
    values.push(valueAt(type.item.type, data.item, item))
  }
  return values
}

const structValue = (type: ArrowType, data: Extract<ColumnData, { kind: "struct" }>, row: number): PlainValue => {
  if (type.kind !== "struct") throw new Error("a struct column needs a struct type")
  return Object.fromEntries(type.fields.map((field, i) => [field.name, valueAt(field.type, data.fields[i]!, row)]))
}

/** The value of `row` in a column of `type`. */
export const valueAt = (type: ArrowType, data: ColumnData, row: number): PlainValue => {
  if (data.present !== undefined && data.present[row] === 0) return null
  switch (data.kind) {
    case "fixed":
      return fixedValue(type, data.bytes.subarray(row * data.width, (row + 1) * data.width))
    case "bool":
      return data.values[row] !== 0
    case "varying": {
      const bytes = data.bytes.subarray(data.offsets[row], data.offsets[row + 1])
      return type.kind === "utf8" ? new TextDecoder().decode(bytes) : bytes
    }
    case "list":
      return listValue(type, data, row)
    case "struct":
      return structValue(type, data, row)
  }
}
