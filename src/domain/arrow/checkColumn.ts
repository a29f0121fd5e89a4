import type { ArrowType } from "./ArrowSchema.ts"
import { type Column, isNull, viewOf } from "./ColumnBatch.ts"
import { reject } from "./MalformedArrow.ts"
import { readIndex } from "./readIndex.ts"

/**
 * Checks once what every reader of a column relies on afterwards: its buffers are long enough, and all offsets and indices
 * into another buffer, a child or a dictionary are inside of it. Row values are not checked.
 */
export const checkColumn = (column: Column, path: string): void => {
  const { type } = column.field
  switch (type.kind) {
    case "null":
    case "struct":
    case "fixedSizeList":
      return
    case "utf8":
    case "binary":
      return type.offsets === "view"
        ? checkViews(column, path)
        : checkOffsets(column, path, type.offsets, column.buffers[1]!.length)
    case "list":
      return type.offsets === 32 || type.offsets === 64
        ? checkOffsets(column, path, type.offsets, column.children[0]!.length)
        : checkListViews(column, path, type.offsets === "view32" ? 32 : 64)
    case "map":
      return checkOffsets(column, path, 32, Math.min(column.children[0]!.length, column.children[1]!.length))
    case "dictionary":
      return checkIndices(column, path, type)
    case "union":
      return checkUnion(column, path, type)
    case "runEndEncoded":
      return checkRunEnds(column, path, type)
    default:
      return need(column, 0, Math.ceil(column.length * valueBits(type) / 8), path)
  }
}

/** Bits of one value of a type that keeps its values side by side. */
const valueBits = (type: ArrowType): number => {
  switch (type.kind) {
    case "bool":
      return 1
    case "int":
    case "float":
    case "decimal":
    case "time":
      return type.bits
    case "fixedSizeBinary":
      return type.width * 8
    case "date":
      return type.unit === "day" ? 32 : 64
    case "interval":
      return type.unit === "yearMonth" ? 32 : type.unit === "dayTime" ? 64 : 128
    default:
      return 64
  }
}

const quoted = (path: string): string => `column ${JSON.stringify(path)}`

const need = (column: Column, buffer: number, bytes: number, path: string): void => {
  if (column.buffers[buffer]!.length < bytes) reject(`${quoted(path)} has a buffer that is too short for its rows`)
}

/** Offsets are read by their low word afterwards: 64-bit ones must fit 31 bits, which every message body does. */
const checkOffsets = (column: Column, path: string, bits: 32 | 64, end: number): void => {
  if (column.length === 0) return
  const stride = bits >> 3
  need(column, 0, (column.length + 1) * stride, path)
  const view = viewOf(column.buffers[0]!)
  let previous = 0
  for (let at = 0, last = column.length * stride; at <= last; at += stride) {
    const offset = view.getInt32(at, true)
    if (offset < previous || (bits === 64 && view.getInt32(at + 4, true) !== 0)) {
      reject(`${quoted(path)} has offsets that go backwards`)
    }
    previous = offset
  }
  if (previous > end) reject(`${quoted(path)} has offsets that point outside its values`)
}

/** A view: int32 length, then 12 bytes of data, or 4 bytes of prefix, int32 buffer index and int32 offset. */
const checkViews = (column: Column, path: string): void => {
  need(column, 0, column.length * 16, path)
  const view = viewOf(column.buffers[0]!)
  for (let row = 0; row < column.length; row++) {
    if (isNull(column.validity, row)) continue
    const length = view.getInt32(16 * row, true)
    if (length >= 0 && length <= 12) continue
    const data = column.buffers[1 + view.getUint32(16 * row + 8, true)]
    const start = view.getInt32(16 * row + 12, true)
    if (length < 0 || data === undefined || start < 0 || start + length > data.length) {
      reject(`${quoted(path)} has a view that points outside its values`)
    }
  }
}

const checkListViews = (column: Column, path: string, bits: 32 | 64): void => {
  const stride = bits >> 3
  need(column, 0, column.length * stride, path)
  need(column, 1, column.length * stride, path)
  const type = { kind: "int", bits, signed: true } as const
  const startOf = readIndex(type, column.buffers[0]!)
  const sizeOf = readIndex(type, column.buffers[1]!)
  const end = column.children[0]!.length
  for (let row = 0; row < column.length; row++) {
    if (isNull(column.validity, row)) continue
    const start = startOf(row)
    const size = sizeOf(row)
    if (start < 0 || size < 0 || start + size > end) reject(`${quoted(path)} has a list that points outside its values`)
  }
}

const checkIndices = (column: Column, path: string, type: Extract<ArrowType, { kind: "dictionary" }>): void => {
  need(column, 0, column.length * (type.index.bits >> 3), path)
  const indexOf = readIndex(type.index, column.buffers[0]!)
  const end = column.dictionary.reduce((sum, chunk) => sum + chunk.length, 0)
  for (let row = 0; row < column.length; row++) {
    if (isNull(column.validity, row)) continue
    const index = indexOf(row)
    if (index < 0 || index >= end) reject(`${quoted(path)} has an index outside its dictionary of ${end} values`)
  }
}

const checkUnion = (column: Column, path: string, type: Extract<ArrowType, { kind: "union" }>): void => {
  need(column, 0, column.length, path)
  if (type.mode === "dense") need(column, 1, 4 * column.length, path)
  const members = new Map(type.typeIds.map((id, index) => [id, column.children[index]!]))
  const offsets = type.mode === "dense" ? viewOf(column.buffers[1]!) : undefined
  for (let row = 0; row < column.length; row++) {
    const member = members.get(column.buffers[0]![row]!) ?? reject(`${quoted(path)} has a value of an unknown member`)
    const offset = offsets === undefined ? row : offsets.getInt32(4 * row, true)
    if (offset < 0 || offset >= member.length) reject(`${quoted(path)} has a value that points outside its member`)
  }
}

const checkRunEnds = (column: Column, path: string, type: Extract<ArrowType, { kind: "runEndEncoded" }>): void => {
  const runs = column.children[0]!
  if (runs.nullCount > 0 || type.runEnds.type.kind !== "int") reject(`${quoted(path)} has a run without an end`)
  const endOf = readIndex(type.runEnds.type as Extract<ArrowType, { kind: "int" }>, runs.buffers[0]!)
  let previous = 0
  for (let run = 0; run < runs.length; run++) {
    const end = endOf(run)
    if (end <= previous) reject(`${quoted(path)} has runs that do not grow`)
    previous = end
  }
  if (previous < column.length) reject(`${quoted(path)} has runs that end before its rows`)
}
