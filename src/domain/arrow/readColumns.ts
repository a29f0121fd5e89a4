/** Reads the columns of a record batch out of the body of its message. */
import type { ArrowField, ArrowType } from "./ArrowSchema.ts"
import { checkColumn } from "./checkColumn.ts"
import type { Column } from "./ColumnBatch.ts"
import { type FlatTable, sizeAt } from "./flatbuffer.ts"
import { reject } from "./MalformedArrow.ts"
import { unpackZstd } from "./unpackZstd.ts"

/** The values that dictionary columns refer to, by dictionary id. */
export type Dictionaries = ReadonlyMap<bigint, ReadonlyArray<Column>>

export interface ReadContext {
  readonly body: Uint8Array
  readonly dictionaries: Dictionaries
}

export interface Columns {
  readonly rows: number
  readonly columns: ReadonlyArray<Column>
  /** Bytes the columns keep alive. */
  readonly sizeBytes: number
}

/** Binds the buffers of a record batch to its fields. Source: Apache Arrow, format/Message.fbs, `RecordBatch`. */
export const readColumns = (
  fields: ReadonlyArray<ArrowField>,
  batch: FlatTable,
  context: ReadContext
): Columns => {
  const rows = checkedRows(batch.size(0))
  const parts = new Parts(batch, context)
  const columns = fields.map((field) => readColumn(field, parts, field.name, rows))
  parts.expectEnd()
  return { rows, columns, sizeBytes: parts.sizeBytes }
}

// All code after this check counts rows in 32 bits.
const MAX_ROWS = 0x7fffffff

const checkedRows = (rows: number): number => rows <= MAX_ROWS ? rows : reject(`a column claims ${rows} rows`)

/** The largest size of one unpacked buffer; a field of PostgreSQL cannot be larger either. */
const MAX_UNPACKED_BYTES = 0x3fffffff

/** Reads the nodes and buffers of a batch in the order of its fields. */
class Parts {
  readonly dictionaries: Dictionaries
  sizeBytes: number
  readonly #view: DataView
  readonly #body: Uint8Array
  readonly #nodes: { readonly start: number; readonly count: number }
  readonly #buffers: { readonly start: number; readonly count: number }
  readonly #variadic: { readonly start: number; readonly count: number }
  readonly #unpack: ((packed: Uint8Array) => Uint8Array) | undefined
  #node = 0
  #buffer = 0
  #variadicAt = 0

  constructor(batch: FlatTable, context: ReadContext) {
    this.dictionaries = context.dictionaries
    this.sizeBytes = context.body.length
    this.#view = batch.view
    this.#body = context.body
    this.#nodes = batch.vector(1, 16)
    this.#buffers = batch.vector(2, 16)
    this.#variadic = batch.vector(4, 8)
    this.#unpack = unpackOf(batch.table(3))
  }

  node(): { readonly length: number; readonly nullCount: number } {
    if (this.#node >= this.#nodes.count) reject("a batch has fewer columns than its schema")
    const at = this.#nodes.start + 16 * this.#node++
    const length = checkedRows(sizeAt(this.#view, at))
    const nullCount = sizeAt(this.#view, at + 8)
    return nullCount <= length ? { length, nullCount } : reject("a column claims more nulls than rows")
  }

  buffer(): Uint8Array {
    if (this.#buffer >= this.#buffers.count) reject("a batch has fewer buffers than its schema needs")
    const at = this.#buffers.start + 16 * this.#buffer++
    const offset = sizeAt(this.#view, at)
    const length = sizeAt(this.#view, at + 8)
    if (offset + length > this.#body.length) reject("a buffer lies outside the body of its message")
    const bytes = this.#body.subarray(offset, offset + length)
    if (this.#unpack === undefined || length === 0) return bytes
    const unpacked = this.#unpack(bytes)
    this.sizeBytes += unpacked.length
    return unpacked
  }

  /** The data buffers of a view column, whose number the batch declares. */
  variadicBuffers(): ReadonlyArray<Uint8Array> {
    if (this.#variadicAt >= this.#variadic.count) {
      reject("a batch does not declare how many data buffers a view column has")
    }
    const count = sizeAt(this.#view, this.#variadic.start + 8 * this.#variadicAt++)
    if (count > this.#buffers.count) reject("a batch has fewer buffers than its schema needs")
    return Array.from({ length: count }, () => this.buffer())
  }

  /** Checks that nothing is left over, which would mean that schema and batch do not belong together. */
  expectEnd(): void {
    const all = this.#node === this.#nodes.count
      && this.#buffer === this.#buffers.count
      && this.#variadicAt === this.#variadic.count
    if (!all) reject("a batch has more columns or buffers than its schema")
  }
}

const [LZ4, ZSTD] = [0, 1]

/** Shape: int64 length when unpacked (-1: the rest is not packed), then the packed bytes. */
const unpackOf = (compression: FlatTable | undefined): ((packed: Uint8Array) => Uint8Array) | undefined => {
  if (compression === undefined) return undefined
  const codec = compression.uint8(0, LZ4)
  if (codec !== ZSTD) {
    const name = codec === LZ4 ? "LZ4" : `codec ${codec}`
    reject(
      `its batches are compressed with ${name}, and only ZSTD or no compression is accepted; set the compression of the `
        + "Arrow IPC writer on the server to ZSTD or none"
    )
  }
  if (compression.uint8(1, 0) !== 0) reject("it is compressed by an unknown method, and only BUFFER is supported")
  return (packed) => {
    const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength)
    const rest = packed.subarray(8)
    if (view.getInt32(0, true) === -1 && view.getInt32(4, true) === -1) return rest
    const sizeBytes = sizeAt(view, 0)
    if (sizeBytes > MAX_UNPACKED_BYTES) reject("a compressed buffer claims more than 1 GiB")
    try {
      return unpackZstd(rest, sizeBytes)
    } catch {
      return reject("a buffer compressed with ZSTD is damaged")
    }
  }
}

/** Reads one column. `path` names it in errors; `minRows` is the number of rows that the parent needs. */
const readColumn = (field: ArrowField, parts: Parts, path: string, minRows: number, exact = true): Column => {
  const node = parts.node()
  if (exact ? node.length !== minRows : node.length < minRows) {
    reject(`column ${JSON.stringify(path)} has ${node.length} rows where ${minRows} are needed`)
  }
  const validity = hasValidity(field.type) ? readValidity(parts.buffer(), node, path) : undefined
  const buffers = readBuffers(field.type, parts)
  const column: Column = {
    field,
    length: node.length,
    nullCount: validity === undefined && field.type.kind !== "null" ? 0 : node.nullCount,
    validity,
    buffers,
    children: readChildren(field.type, parts, path, node.length),
    dictionary: field.type.kind === "dictionary" ? parts.dictionaries.get(field.type.id) ?? [] : []
  }
  checkColumn(column, path)
  return column
}

const hasValidity = (type: ArrowType): boolean =>
  type.kind !== "null" && type.kind !== "union" && type.kind !== "runEndEncoded"

const readValidity = (
  bitmap: Uint8Array,
  node: { readonly length: number; readonly nullCount: number },
  path: string
): Uint8Array | undefined => {
  if (node.nullCount === 0) return undefined
  return bitmap.length >= Math.ceil(node.length / 8)
    ? bitmap
    : reject(`column ${JSON.stringify(path)} claims nulls but has no complete validity bitmap`)
}

const readBuffers = (type: ArrowType, parts: Parts): ReadonlyArray<Uint8Array> => {
  switch (type.kind) {
    case "null":
    case "struct":
    case "fixedSizeList":
    case "runEndEncoded":
      return []
    case "utf8":
    case "binary":
      return type.offsets === "view" ? [parts.buffer(), ...parts.variadicBuffers()] : [parts.buffer(), parts.buffer()]
    case "list":
      return type.offsets === 32 || type.offsets === 64 ? [parts.buffer()] : [parts.buffer(), parts.buffer()]
    case "union":
      return type.mode === "sparse" ? [parts.buffer()] : [parts.buffer(), parts.buffer()]
    default:
      return [parts.buffer()]
  }
}

const readChildren = (type: ArrowType, parts: Parts, path: string, rows: number): ReadonlyArray<Column> => {
  const child = (field: ArrowField, minRows: number) =>
    readColumn(field, parts, `${path}.${field.name}`, minRows, false)
  switch (type.kind) {
    case "struct":
      return type.fields.map((field) => child(field, rows))
    case "list":
      return [child(type.item, 0)]
    case "fixedSizeList":
      return [child(type.item, checkedRows(rows * type.size))]
    case "map":
      return readEntries(type, parts, path)
    case "union":
      return type.fields.map((field) => child(field, type.mode === "sparse" ? rows : 0))
    case "runEndEncoded": {
      const runEnds = child(type.runEnds, 0)
      return [runEnds, child(type.values, runEnds.length)]
    }
    default:
      return []
  }
}

/** The entries of a map are a struct on the wire; no entry may be null, so only keys and values are kept. */
const readEntries = (
  type: Extract<ArrowType, { kind: "map" }>,
  parts: Parts,
  path: string
): ReadonlyArray<Column> => {
  const node = parts.node()
  parts.buffer()
  if (node.nullCount > 0) reject(`the map ${JSON.stringify(path)} has absent entries`)
  return [type.key, type.value].map((field) => readColumn(field, parts, `${path}.${field.name}`, node.length, false))
}
