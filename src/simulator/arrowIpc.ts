/**
 * Arrow IPC as the real servers write it: metadata through apache-arrow, bodies laid out like arrow-rs does (every buffer
 * begins at a multiple of 64 bytes, every column has a validity bitmap, an array of no rows has no offsets).
 *
 * It does not use the decoder of ampsync, so that the decoder is tested with an independent encoder.
 */
import { Binary, Bool, type DataType, Decimal, Field, FixedSizeBinary, Int, List, Message } from "apache-arrow"
import { MessageHeader, MetadataVersion, Schema, Struct, Timestamp, TimeUnit, Utf8 } from "apache-arrow"
import { BufferRegion, FieldNode, RecordBatch } from "apache-arrow/ipc/metadata/message"
import type { ArrowField, ArrowType } from "../domain/arrow/ArrowSchema.ts"
import type { Column } from "./columns.ts"

const ALIGNMENT = 64
const align = (bytes: number): number => (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1)

const arrowType = (type: ArrowType): DataType => {
  switch (type.kind) {
    case "int":
      return new Int(type.signed, type.bits)
    case "bool":
      return new Bool()
    case "decimal":
      return new Decimal(type.scale, type.precision, type.bits)
    case "utf8":
      return new Utf8()
    case "binary":
      return new Binary()
    case "fixedSizeBinary":
      return new FixedSizeBinary(type.width)
    case "timestamp":
      return new Timestamp(TimeUnit.NANOSECOND, type.timezone)
    case "list":
      return new List(arrowField(type.item))
    case "struct":
      return new Struct(type.fields.map(arrowField))
    default:
      throw new Error(`the simulator sends no column of type ${type.kind}`)
  }
}

const arrowField = (field: ArrowField): Field => new Field(field.name, arrowType(field.type), field.nullable)

/** The flatbuffer `Message` of a schema: the `data_header` of the first message of a stream. */
export const encodeSchema = (fields: ReadonlyArray<ArrowField>): Uint8Array =>
  Message.encode(Message.from(new Schema(fields.map(arrowField))))

/** The schema as in `FlightInfo`: continuation marker, length, message, zeros up to a multiple of 64 bytes. */
export const encapsulate = (message: Uint8Array): Uint8Array => {
  const encapsulated = new Uint8Array(align(message.length + 8))
  const view = new DataView(encapsulated.buffer)
  view.setInt32(0, -1, true)
  view.setInt32(4, encapsulated.length - 8, true)
  encapsulated.set(message, 8)
  return encapsulated
}

/** Rows `from` to `to - 1` of some columns. */
export interface RowWindow {
  readonly columns: ReadonlyArray<Column>
  readonly from: number
  readonly to: number
}

interface Part {
  readonly data: Column
  readonly from: number
  readonly to: number
}

type Write = (target: Uint8Array) => void

/** Collects the parts of a record batch before its body is written. */
class Layout {
  readonly nodes: Array<FieldNode> = []
  readonly regions: Array<BufferRegion> = []
  readonly writes: Array<Write> = []
  sizeBytes = 0

  node(length: number, nullCount: number): void {
    this.nodes.push(new FieldNode(length, nullCount))
  }

  buffer(lengthBytes: number, write: Write): void {
    this.regions.push(new BufferRegion(this.sizeBytes, lengthBytes))
    this.writes.push(write)
    this.sizeBytes += align(lengthBytes)
  }
}

const rowsIn = (parts: ReadonlyArray<Part>): number => parts.reduce((rows, part) => rows + part.to - part.from, 0)

/** Sets bit `row` for every row that is true of `bytes`, the parts one after the other. */
const packBits = (parts: ReadonlyArray<Part>, bytesOf: (data: Column) => Uint8Array | undefined): Write => (target) => {
  let bit = 0
  for (const { data, from, to } of parts) {
    const bytes = bytesOf(data)
    for (let row = from; row < to; row += 1, bit += 1) {
      if (bytes === undefined || bytes[row] !== 0) target[bit >>> 3]! |= 1 << (bit & 7)
    }
  }
}

const layOutValidity = (layout: Layout, parts: ReadonlyArray<Part>): void => {
  const rows = rowsIn(parts)
  let nullCount = 0
  for (const { data, from, to } of parts) {
    const present = data.present?.bytes
    for (let row = from; present !== undefined && row < to; row += 1) nullCount += 1 - present[row]!
  }
  layout.node(rows, nullCount)
  layout.buffer((rows + 7) >>> 3, nullCount === 0 ? allOnes(rows) : packBits(parts, (data) => data.present?.bytes))
}

const allOnes = (rows: number): Write => (target) => {
  target.fill(0xff)
  if ((rows & 7) !== 0) target[target.length - 1] = (1 << (rows & 7)) - 1
}

/** Offsets of the concatenated parts, beginning at 0; an array of no rows has none at all. */
const layOutOffsets = (layout: Layout, parts: ReadonlyArray<Part>): void => {
  const rows = rowsIn(parts)
  layout.buffer(rows === 0 ? 0 : (rows + 1) * 4, (target) => {
    const offsets = new Int32Array(target.buffer, target.byteOffset, target.byteLength / 4)
    let row = 1
    for (const { data, from, to } of parts) {
      if (data.kind !== "varying" && data.kind !== "list") continue
      const given = data.offsets.offsets
      const shift = (offsets[row - 1] ?? 0) - given[from]!
      for (let i = from + 1; i <= to; i += 1, row += 1) offsets[row] = given[i]! + shift
    }
  })
}

const copyAll = (pieces: ReadonlyArray<Uint8Array>): Write => (target) => {
  let offset = 0
  for (const piece of pieces) {
    target.set(piece, offset)
    offset += piece.length
  }
}

const layOutBytes = (layout: Layout, pieces: ReadonlyArray<Uint8Array>): void =>
  layout.buffer(pieces.reduce((bytes, piece) => bytes + piece.length, 0), copyAll(pieces))

const layOut = (layout: Layout, type: ArrowType, parts: ReadonlyArray<Part>): void => {
  layOutValidity(layout, parts)
  if (type.kind === "bool") {
    layout.buffer(
      (rowsIn(parts) + 7) >>> 3,
      packBits(parts, (data) => data.kind === "bool" ? data.values.bytes : undefined)
    )
  } else if (type.kind === "utf8" || type.kind === "binary") {
    layOutOffsets(layout, parts)
    layOutBytes(
      layout,
      parts.flatMap(({ data, from, to }) =>
        data.kind === "varying"
          ? [data.values.bytes.subarray(data.offsets.offsets[from], data.offsets.offsets[to])]
          : []
      )
    )
  } else if (type.kind === "list") {
    layOutOffsets(layout, parts)
    layOut(
      layout,
      type.item.type,
      parts.flatMap(({ data, from, to }) =>
        data.kind === "list"
          ? [{ data: data.item, from: data.offsets.offsets[from]!, to: data.offsets.offsets[to]! }]
          : []
      )
    )
  } else if (type.kind === "struct") {
    type.fields.forEach((field, i) =>
      layOut(
        layout,
        field.type,
        parts.flatMap(({ data, from, to }) => data.kind === "struct" ? [{ data: data.fields[i]!, from, to }] : [])
      )
    )
  } else {
    layOutBytes(
      layout,
      parts.flatMap(({ data, from, to }) =>
        data.kind === "fixed" ? [data.values.bytes.subarray(from * data.width, to * data.width)] : []
      )
    )
  }
}

const layOutBatch = (fields: ReadonlyArray<ArrowField>, windows: ReadonlyArray<RowWindow>): Layout => {
  const layout = new Layout()
  fields.forEach((field, i) =>
    layOut(layout, field.type, windows.map(({ columns, from, to }) => ({ data: columns[i]!, from, to })))
  )
  return layout
}

/** Size of the body that `encodeBatch` would write. */
export const bodySize = (fields: ReadonlyArray<ArrowField>, windows: ReadonlyArray<RowWindow>): number =>
  layOutBatch(fields, windows).sizeBytes

/** One record batch: the flatbuffer `Message` and the body that belongs to it. No windows make a batch of no rows. */
export const encodeBatch = (
  fields: ReadonlyArray<ArrowField>,
  windows: ReadonlyArray<RowWindow>
): { readonly header: Uint8Array; readonly body: Uint8Array } => {
  const layout = layOutBatch(fields, windows)
  const rows = windows.reduce((sum, { from, to }) => sum + to - from, 0)
  const body = new Uint8Array(layout.sizeBytes)
  layout.writes.forEach((write, i) => {
    const { offset, length } = layout.regions[i]!
    write(body.subarray(offset, offset + length))
  })
  const metadata = new RecordBatch(rows, layout.nodes, layout.regions, null)
  return {
    header: Message.encode(new Message(body.length, MetadataVersion.V5, MessageHeader.RecordBatch, metadata)),
    body
  }
}
