/** Columns from JavaScript values, laid out byte by byte in the Arrow columnar format, for every type. */
import type { ArrowField, ArrowSchema, ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import type { Column, ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"

/**
 * A value of a column; null is absent. Integers, decimals (unscaled) and times are bigints, bytes and text `Uint8Array` or
 * string, lists arrays, structs arrays in the order of their fields, maps arrays of pairs, unions `[member, value]`,
 * intervals arrays of their parts, 16-bit floats their bits.
 */
export type Value = null | boolean | bigint | number | string | Uint8Array | ReadonlyArray<Value>

export const field = (name: string, type: ArrowType, nullable = true): ArrowField => ({ name, type, nullable })

export const columnOf = (of: ArrowField, values: ReadonlyArray<Value>): Column => {
  const hasBitmap = of.type.kind !== "null" && of.type.kind !== "union" && of.type.kind !== "runEndEncoded"
  const nullCount = of.type.kind === "union" || of.type.kind === "runEndEncoded"
    ? 0
    : values.filter((value) => value === null).length
  return {
    field: of,
    length: values.length,
    nullCount,
    validity: hasBitmap && nullCount > 0 ? bitmap(values.map((value) => value !== null)) : undefined,
    ...layout(of.type, values)
  }
}

export const batchOf = (columns: ReadonlyArray<Column>): ColumnBatch => ({
  schema: { fields: columns.map((column) => column.field) } satisfies ArrowSchema,
  rows: columns[0]?.length ?? 0,
  columns,
  sizeBytes: 0
})

type Layout = Pick<Column, "buffers" | "children" | "dictionary">

const plain = (...buffers: ReadonlyArray<Uint8Array>): Layout => ({ buffers, children: [], dictionary: [] })

const layout = (type: ArrowType, values: ReadonlyArray<Value>): Layout => {
  switch (type.kind) {
    case "null":
      return plain()
    case "bool":
      return plain(bitmap(values.map((value) => value === true)))
    case "int":
    case "decimal":
    case "time":
      return plain(words(type.bits / 8, values))
    case "date":
      return plain(words(type.unit === "day" ? 4 : 8, values))
    case "timestamp":
    case "duration":
      return plain(words(8, values))
    case "float":
      return plain(floats(type.bits, values))
    case "interval":
      return plain(concat(values.map((value) => intervalBytes(type.unit, (value ?? [0n, 0n, 0n]) as Array<bigint>))))
    case "fixedSizeBinary":
      return plain(concat(values.map((value) => value === null ? new Uint8Array(type.width) : bytesOf(value))))
    case "utf8":
    case "binary":
      return type.offsets === "view" ? views(values) : offsetBytes(type.offsets / 8, values)
    default:
      return nested(type, values)
  }
}

const nested = (type: ArrowType, values: ReadonlyArray<Value>): Layout => {
  switch (type.kind) {
    case "struct":
      return {
        ...plain(),
        children: type.fields.map((member, index) =>
          columnOf(member, values.map((value) => listOf(value)[index] ?? null))
        )
      }
    case "fixedSizeList":
      return {
        ...plain(),
        children: [
          columnOf(type.item, values.flatMap((value) => value ?? Array<Value>(type.size).fill(null)) as Array<Value>)
        ]
      }
    case "list":
      return lists(type, values)
    case "map":
      return {
        ...plain(offsets(4, values.map((value) => listOf(value).length))),
        children: [type.key, type.value].map((of, index) =>
          columnOf(of, values.flatMap(listOf).map((entry) => listOf(entry)[index]!))
        )
      }
    case "dictionary":
      return dictionary(type, values)
    case "union":
      return union(type, values)
    case "runEndEncoded":
      return runs(type, values)
    default:
      throw new Error(type.kind)
  }
}

const listOf = (value: Value): ReadonlyArray<Value> => (value ?? []) as ReadonlyArray<Value>

const lists = (type: Extract<ArrowType, { kind: "list" }>, values: ReadonlyArray<Value>): Layout => {
  const sizes = values.map((value) => listOf(value).length)
  if (type.offsets === 32 || type.offsets === 64) {
    return { ...plain(offsets(type.offsets / 8, sizes)), children: [columnOf(type.item, values.flatMap(listOf))] }
  }
  // List views may come in any order: the last list is stored first here.
  const bytes = type.offsets === "view32" ? 4 : 8
  const starts: Array<bigint> = []
  const items: Array<Value> = []
  for (let index = values.length - 1; index >= 0; index--) {
    starts[index] = BigInt(items.length)
    items.push(...listOf(values[index]!))
  }
  return { ...plain(words(bytes, starts), words(bytes, sizes.map(BigInt))), children: [columnOf(type.item, items)] }
}

const dictionary = (type: Extract<ArrowType, { kind: "dictionary" }>, values: ReadonlyArray<Value>): Layout => {
  const keyOf = (value: Value) =>
    JSON.stringify(value, (_, part: unknown) => typeof part === "bigint" ? `${part}` : part)
  const distinct = new Map(values.filter((value) => value !== null).map((value) => [keyOf(value), value]))
  const keys = [...distinct.keys()]
  const stored = [...distinct.values()]
  const half = stored.length >> 1
  const of = field("values", type.value)
  return {
    ...plain(
      words(type.index.bits / 8, values.map((value) => value === null ? 0n : BigInt(keys.indexOf(keyOf(value)))))
    ),
    // In two chunks, as a delta dictionary leaves them.
    dictionary: [columnOf(of, stored.slice(0, half)), columnOf(of, stored.slice(half))]
  }
}

const union = (type: Extract<ArrowType, { kind: "union" }>, values: ReadonlyArray<Value>): Layout => {
  const tagged = values.map((value) => (value ?? [0n, null]) as readonly [bigint, Value])
  const ids = Uint8Array.from(tagged, ([member]) => type.typeIds[Number(member)]!)
  const of = (index: number) => tagged.filter(([member]) => Number(member) === index).map(([, value]) => value)
  if (type.mode === "sparse") {
    const children = type.fields.map((member, index) =>
      columnOf(member, tagged.map(([active, value]) => Number(active) === index ? value : null))
    )
    return { ...plain(ids), children }
  }
  const seen = type.fields.map(() => 0n)
  const starts = tagged.map(([member]) => seen[Number(member)]!++)
  return { ...plain(ids, words(4, starts)), children: type.fields.map((member, index) => columnOf(member, of(index))) }
}

const runs = (type: Extract<ArrowType, { kind: "runEndEncoded" }>, values: ReadonlyArray<Value>): Layout => {
  const starts = values.map((_, index) => index).filter((index) => index === 0 || values[index] !== values[index - 1])
  const ends = starts.map((_, run) => BigInt(starts[run + 1] ?? values.length))
  return {
    ...plain(),
    children: [columnOf(type.runEnds, ends), columnOf(type.values, starts.map((start) => values[start]!))]
  }
}

const bitmap = (bits: ReadonlyArray<boolean>): Uint8Array => {
  const bytes = new Uint8Array(Math.ceil(bits.length / 8))
  bits.forEach((bit, index) => {
    if (bit) bytes[index >> 3]! |= 1 << (index & 7)
  })
  return bytes
}

/** Little-endian two's complement; null values are filled with a pattern that must never be read. */
const words = (width: number, values: ReadonlyArray<Value>): Uint8Array =>
  concat(values.map((value) => {
    let rest = BigInt.asUintN(width * 8, value === null ? 0x5a5an : BigInt(value as bigint))
    return Uint8Array.from({ length: width }, () => {
      const byte = Number(rest & 0xffn)
      rest >>= 8n
      return byte
    })
  }))

const floats = (bits: 16 | 32 | 64, values: ReadonlyArray<Value>): Uint8Array => {
  const view = new DataView(new ArrayBuffer(values.length * bits / 8))
  values.forEach((value, index) => {
    const number = Number(value)
    if (bits === 16) view.setUint16(2 * index, number, true)
    if (bits === 32) view.setFloat32(4 * index, number, true)
    if (bits === 64) view.setFloat64(8 * index, number, true)
  })
  return new Uint8Array(view.buffer)
}

const intervalBytes = (unit: "yearMonth" | "dayTime" | "monthDayNano", parts: ReadonlyArray<bigint>): Uint8Array => {
  if (unit === "yearMonth") return words(4, parts.slice(0, 1))
  if (unit === "dayTime") return words(4, parts.slice(0, 2))
  return concat([words(4, parts.slice(0, 2)), words(8, parts.slice(2, 3))])
}

const bytesOf = (value: Value): Uint8Array => {
  if (value === null) return new Uint8Array(0)
  return typeof value === "string" ? new TextEncoder().encode(value) : value as Uint8Array
}

const offsets = (width: number, lengths: ReadonlyArray<number>): Uint8Array => {
  const ends = [0n]
  for (const length of lengths) ends.push(ends.at(-1)! + BigInt(length))
  return words(width, ends)
}

const offsetBytes = (width: number, values: ReadonlyArray<Value>): Layout => {
  const parts = values.map(bytesOf)
  return plain(offsets(width, parts.map((part) => part.length)), concat(parts))
}

/** Long values go alternately into two data buffers. */
const views = (values: ReadonlyArray<Value>): Layout => {
  const data: [Array<Uint8Array>, Array<Uint8Array>] = [[], []]
  const sizes: [number, number] = [0, 0]
  const entries = values.map((value, index) => {
    const bytes = bytesOf(value)
    const view = new DataView(new ArrayBuffer(16))
    view.setInt32(0, value === null ? -7 : bytes.length, true)
    if (bytes.length <= 12) {
      new Uint8Array(view.buffer).set(bytes, 4)
    } else {
      const buffer = (index % 2) as 0 | 1
      new Uint8Array(view.buffer).set(bytes.subarray(0, 4), 4)
      view.setInt32(8, buffer, true)
      view.setInt32(12, sizes[buffer], true)
      data[buffer].push(bytes)
      sizes[buffer] += bytes.length
    }
    return new Uint8Array(view.buffer)
  })
  return plain(concat(entries), concat(data[0]), concat(data[1]))
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
