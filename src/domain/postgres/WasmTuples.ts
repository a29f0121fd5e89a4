/**
 * The fast path of `RowEncoder`: a WebAssembly module writes the tuples of tables whose columns are all of common kinds.
 *
 * The values of a few hundred rows are copied into the module's memory, encoded there, and copied into the caller's buffer.
 * One memory of fixed size serves all tables, because encoding never suspends. What the module does not know or would refuse
 * is left to the writers. Source: `tuples.wat`, which also defines the layout of the memory.
 */
import type { TimeUnit } from "../arrow/ArrowSchema.ts"
import { type Column, type ColumnBatch, viewOf } from "../arrow/ColumnBatch.ts"
import type { CopyPlan } from "./encodeCopy.ts"
import type { FieldWriter, Output } from "./FieldWriter.ts"
import { decimalDigits, type PgColumn } from "./PgType.ts"
import { PIECE_ROWS } from "./RowNumbering.ts"
import { tuplesModule } from "./tuplesModule.ts"

const DESCRIPTORS = 1024
const DESCRIPTOR_BYTES = 64
const STAGING = 106_496
const STAGING_BYTES = 1024 * 1024
const OUTPUT = STAGING + STAGING_BYTES

/**
 * Most bytes that are encoded at once, which is the size of the output area.
 *
 * Measured on an AMD EPYC with 512 KiB of L2 per core (`npm run bench:encode`): 128 KiB is as fast as 256 KiB with 8,192 rows
 * per batch and faster with 65,536; 64 KiB pays too much per step, 512 KiB leaves the cache.
 */
const STEP_BYTES = 128 * 1024

/** Below this many rows the writers are faster than filling the memory. */
const MIN_ROWS = 8

/** A descriptor's words, by their place. */
const [KIND, VALIDITY, BIT, VALUES, STRIDE, DATA, WIDTH, WEIGHT, SCALE, DECIMALS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
const WORDS = DESCRIPTOR_BYTES / 4

/** The kinds of a field, in the order of the module's `br_table`. */
const kinds = [
  "fixed",
  "fixed32",
  "fixed20",
  "binary",
  "text",
  "bool",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "nanoseconds",
  "timestamp",
  "decimal",
  "uint64Numeric"
] as const

type Kind = typeof kinds[number]

/** How a field is read and written, apart from addresses. Words not given are 0. */
interface FieldShape {
  readonly kind: Kind
  readonly stride: number
  /** Bytes of the value, or the factor of a numeric. */
  readonly width: number
  readonly numeric?: { readonly weight: number; readonly scale: number; readonly decimals: number }
  readonly timestamp?: { readonly least: bigint; readonly most: bigint; readonly micros: bigint }
}

/** The timestamps PostgreSQL holds, in microseconds since 1970; the last one excluded. Source: datatype/timestamp.h. */
const FIRST_MICROS = -210_866_803_200_000_000n
const END_MICROS = 9_224_318_016_000_000_000n
const MAX_INT64 = 2n ** 63n - 1n

const microsPer = { second: 1_000_000n, millisecond: 1_000n, microsecond: 1n } as const

const timestampShape = (unit: TimeUnit): FieldShape => {
  // All 64 bits of nanoseconds lie within PostgreSQL's range.
  if (unit === "nanosecond") return { kind: "nanoseconds", stride: 8, width: 8 }
  const micros = microsPer[unit]
  // END_MICROS is a multiple of every unit but does not fit 64 bits itself.
  const most = END_MICROS / micros - 1n
  const timestamp = { least: FIRST_MICROS / micros, most: most < MAX_INT64 ? most : MAX_INT64, micros }
  return { kind: "timestamp", stride: 8, width: 8, timestamp }
}

const outputBytes: Readonly<Record<string, number>> = { bigint: 8, integer: 4, smallint: 2 }

/** The shape of a column, decided by its Arrow type and its PostgreSQL type; none where only the writers know it. */
const shapeOf = ({ arrow, type: name }: PgColumn): FieldShape | undefined => {
  const { type } = arrow
  switch (type.kind) {
    case "fixedSizeBinary": {
      const kind = type.width === 32 ? "fixed32" : type.width === 20 ? "fixed20" : "fixed"
      return name === "bytea" ? { kind, stride: type.width, width: type.width } : undefined
    }
    case "binary":
      return name === "bytea" && type.offsets === 32 ? { kind: "binary", stride: 4, width: 0 } : undefined
    case "utf8":
      return name === "text" && type.offsets === 32 ? { kind: "text", stride: 4, width: 0 } : undefined
    case "bool":
      return name === "boolean" ? { kind: "bool", stride: 0, width: 1 } : undefined
    case "int": {
      const wide = type.bits === 64 && !type.signed
      if (wide && name === "numeric(20,0)") {
        return { kind: "uint64Numeric", stride: 8, width: 1, numeric: { weight: 0, scale: 0, decimals: 20 } }
      }
      const width = outputBytes[name]
      return width === undefined
        ? undefined
        : { kind: `${type.signed ? "" : "u"}int${type.bits}`, stride: type.bits / 8, width }
    }
    case "float":
      // Bit by bit, like integers of their size.
      if (type.bits === 64 && name === "double precision") return { kind: "int64", stride: 8, width: 8 }
      return type.bits === 32 && name === "real" ? { kind: "int32", stride: 4, width: 4 } : undefined
    case "timestamp":
      return name.startsWith("timestamp") ? timestampShape(type.unit) : undefined
    case "decimal": {
      // An override with fewer digits has another limit, which only its writer knows.
      const { precision, scale } = decimalDigits(type)
      if (type.bits !== 128 || name !== `numeric(${precision},${scale})`) return undefined
      const weight = Math.floor(-type.scale / 4)
      const shift = -type.scale - 4 * weight
      return {
        kind: "decimal",
        stride: 16,
        width: 10 ** shift,
        numeric: { weight, scale, decimals: type.precision + shift }
      }
    }
    default:
      return undefined
  }
}

/** The descriptors of one query's tuples without addresses, or undefined where a column has no shape. */
export interface TuplePlan {
  readonly shapes: ReadonlyArray<FieldShape>
  readonly descriptors: Int32Array
}

const OWN_SHAPES: ReadonlyArray<FieldShape> = [
  { kind: "int32", stride: 4, width: 4 },
  // `_range_end` is the same in all rows.
  { kind: "int64", stride: 0, width: 8 }
]

/** Plans the fast path of a query; none where a column is of a kind that only the writers know. */
export const planTuples = (plan: CopyPlan): TuplePlan | undefined => {
  const shapes: Array<FieldShape> = []
  for (const column of plan.columns) {
    const shape = shapeOf(column)
    if (shape === undefined) return undefined
    shapes.push(shape)
  }
  shapes.push(...OWN_SHAPES.slice(0, plan.position.kind === "rangeEnd" ? 2 : 1))
  if (DESCRIPTORS + shapes.length * DESCRIPTOR_BYTES > STAGING) return undefined
  const descriptors = new Int32Array(shapes.length * WORDS)
  shapes.forEach((shape, index) => describe(descriptors, index * WORDS, shape))
  return { shapes, descriptors }
}

const describe = (words: Int32Array, at: number, { kind, numeric, stride, timestamp, width }: FieldShape): void => {
  words[at + KIND] = kinds.indexOf(kind)
  words[at + STRIDE] = stride
  words[at + WIDTH] = width
  if (numeric !== undefined) {
    words[at + WEIGHT] = numeric.weight
    words[at + SCALE] = numeric.scale
    words[at + DECIMALS] = numeric.decimals
  }
  if (timestamp !== undefined) {
    const view = viewOf(new Uint8Array(words.buffer, 4 * at, DESCRIPTOR_BYTES))
    view.setBigInt64(32, timestamp.least, true)
    view.setBigInt64(40, timestamp.most, true)
    view.setBigInt64(48, timestamp.micros, true)
  }
}

/** The module and its memory, in the forms in which they are used. */
interface Machine {
  readonly encode: (rows: number, fields: number, rowBytes: number, at: number, limit: number) => number
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly view: DataView
}

/** What is used of the global of this name; the types of ECMAScript do not have it. */
declare const WebAssembly: {
  readonly Module: new(bytes: Uint8Array) => object
  readonly Instance: new(module: object) => {
    readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly encode: Machine["encode"] }
  }
}

let machine: Machine | undefined | "absent"

/** The module, compiled at its first use; none on a platform that has no WebAssembly with SIMD. */
const loadMachine = (): Machine | undefined => {
  if (machine === undefined) {
    try {
      const code = Uint8Array.from(atob(tuplesModule), (character) => character.charCodeAt(0))
      const { encode, memory } = new WebAssembly.Instance(new WebAssembly.Module(code)).exports
      const { buffer } = memory
      machine = {
        encode,
        bytes: new Uint8Array(buffer),
        words: new Int32Array(buffer),
        view: new DataView(buffer)
      }
    } catch {
      machine = "absent"
    }
  }
  return machine === "absent" ? undefined : machine
}

/** Where the values of one column stand, ready to be copied. */
interface Source {
  readonly column: Column
  readonly shape: FieldShape
  readonly offsets: DataView | undefined
}

/** Writes the tuples of one batch. Results stand in fields: a step allocates little. */
export class WasmTuples {
  /** The position behind the tuples written last. */
  end = 0
  /** Whether `write` stopped early at a value that the writers must read. */
  refused = false
  readonly #machine: Machine
  readonly #plan: TuplePlan
  readonly #sources: ReadonlyArray<Source>
  readonly #rows: number
  /** Most bytes of a row beside those of binary and text. */
  readonly #rowBytes: number
  /** Bytes that a row takes in the staging area beside those of binary and text, and what all rows share. */
  readonly #stagedRowBytes: number
  readonly #stagedBytes: number
  #bytesPerRow = 0
  #staged = STAGING

  private constructor(machine: Machine, plan: TuplePlan, batch: ColumnBatch, writers: ReadonlyArray<FieldWriter>) {
    this.#machine = machine
    this.#plan = plan
    this.#rows = batch.rows
    const inRangeMode = plan.shapes.length > batch.columns.length + 1
    let rowBytes = inRangeMode ? 2 + 8 + 12 : 2 + 8
    let stagedRowBytes = 4
    let buffers = 2
    this.#sources = batch.columns.map((column, index) => {
      const shape = plan.shapes[index]!
      const delimited = shape.kind === "binary" || shape.kind === "text"
      rowBytes += delimited ? 4 : writers[index]!.bound(0, 1)
      stagedRowBytes += shape.stride + (column.validity === undefined ? 0 : 1 / 8) + (shape.kind === "bool" ? 1 / 8 : 0)
      buffers += 3
      return { column, shape, offsets: delimited ? viewOf(column.buffers[0]!) : undefined }
    })
    this.#rowBytes = rowBytes
    this.#stagedRowBytes = stagedRowBytes
    // Each buffer begins at a multiple of 16, may need one more offset, and bits begin anywhere in a byte.
    this.#stagedBytes = 32 * buffers
  }

  /** Binds a batch; none where its columns need the writers: they have NULLs that they promised not to have, or no rows. */
  static bind(
    plan: TuplePlan,
    batch: ColumnBatch,
    columns: ReadonlyArray<PgColumn>,
    writers: ReadonlyArray<FieldWriter>
  ): WasmTuples | undefined {
    const unexpected = columns.some((column, index) => !column.nullable && batch.columns[index]!.validity !== undefined)
    if (unexpected || batch.rows < MIN_ROWS) return undefined
    const machine = loadMachine()
    return machine === undefined ? undefined : new WasmTuples(machine, plan, batch, writers)
  }

  /** How many rows from `row` on to number and to pass to `write`; 0 where the writers are needed or better. */
  rowsToTry(row: number, to: number, room: number): number {
    if (to - row < MIN_ROWS) return 0
    const first = this.#rowBytes + this.#delimitedBytes(row, row + 1)
    if (first > room || first > STEP_BYTES || this.#stagedNeed(row, row + 1) > STAGING_BYTES) return 0
    if (this.#bytesPerRow === 0) {
      this.#bytesPerRow = this.#rowBytes + this.#delimitedBytes(row, this.#rows) / (this.#rows - row)
    }
    // A few more than seem to fit: those that do not are left out in `write`, at little cost.
    const fitting = Math.ceil(Math.min(room, STEP_BYTES) / this.#bytesPerRow * 1.02)
    let rows = Math.min(to - row, PIECE_ROWS, fitting)
    while (this.#stagedNeed(row, row + rows) > STAGING_BYTES) rows >>= 1
    return rows < MIN_ROWS ? 0 : rows
  }

  /**
   * Writes the rows `from` to `to` as far as they surely fit, and returns how many.
   *
   * Fewer either because the next row might not fit, or because it holds a value that is `refused` here.
   */
  write(out: Output, at: number, from: number, to: number, indices: Int32Array, rangeEnd: bigint): number {
    this.end = at
    this.refused = false
    const { bytes, encode, words } = this.#machine
    const { descriptors, shapes } = this.#plan
    words.set(descriptors, DESCRIPTORS / 4)
    if (!this.#stage(from, to, indices, rangeEnd)) {
      this.refused = true
      return 0
    }
    const limit = OUTPUT + Math.min(out.bytes.length - at, STEP_BYTES)
    const rows = encode(to - from, shapes.length, this.#rowBytes, OUTPUT, limit)
    this.refused = words[1] === 1
    const length = words[0]! - OUTPUT
    out.bytes.set(bytes.subarray(OUTPUT, OUTPUT + length), at)
    this.end = at + length
    if (rows > 0) this.#bytesPerRow = length / rows
    return rows
  }

  /** Copies the values of some rows and completes the descriptors; false where a buffer is too short for its rows. */
  #stage(from: number, to: number, indices: Int32Array, rangeEnd: bigint): boolean {
    const { view, words } = this.#machine
    this.#staged = STAGING
    let at = DESCRIPTORS / 4
    for (const { column, offsets, shape } of this.#sources) {
      const { buffers, validity } = column
      if (validity !== undefined) {
        words[at + VALIDITY] = this.#copy(validity, from >> 3, (to + 7) >> 3)
        words[at + BIT] = from & 7
        if (words[at + VALIDITY] === 0) return false
      }
      if (offsets !== undefined) {
        const start = offsets.getInt32(4 * from, true)
        words[at + VALUES] = this.#copy(buffers[0]!, 4 * from, 4 * to + 4)
        const data = this.#copy(buffers[1]!, start, offsets.getInt32(4 * to, true))
        // Addresses wrap in the module as they do here.
        words[at + DATA] = data - start
        if (data === 0) return false
      } else if (shape.kind === "bool") {
        words[at + VALUES] = this.#copy(buffers[0]!, from >> 3, (to + 7) >> 3)
        words[at + BIT] = from & 7
      } else {
        words[at + VALUES] = this.#copy(buffers[0]!, shape.stride * from, shape.stride * to)
      }
      if (words[at + VALUES] === 0) return false
      at += WORDS
    }
    words.set(to - from === indices.length ? indices : indices.subarray(0, to - from), this.#staged / 4)
    words[at + VALUES] = this.#staged
    if (this.#plan.shapes.length > this.#sources.length + 1) {
      // Behind the words that an integer uses, in its own descriptor.
      const address = 4 * (at + WORDS) + 32
      view.setBigInt64(address, rangeEnd, true)
      words[at + WORDS + VALUES] = address
    }
    return true
  }

  /** Copies a slice into the staging area and returns its address; 0 where `source` is shorter. */
  #copy(source: Uint8Array, start: number, end: number): number {
    if (end > source.length || start > end) return 0
    const address = this.#staged
    this.#machine.bytes.set(source.subarray(start, end), address)
    this.#staged = (address + (end - start) + 15) & ~15
    return address
  }

  #delimitedBytes(from: number, to: number): number {
    let bytes = 0
    for (const { offsets } of this.#sources) {
      if (offsets !== undefined) bytes += offsets.getInt32(4 * to, true) - offsets.getInt32(4 * from, true)
    }
    return bytes
  }

  #stagedNeed(from: number, to: number): number {
    return this.#stagedBytes + this.#stagedRowBytes * (to - from) + this.#delimitedBytes(from, to)
  }
}
