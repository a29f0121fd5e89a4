/**
 * The fast path of `RowEncoder`: a WebAssembly module writes the tuples of tables whose columns are all of common kinds.
 *
 * The values of a few hundred rows are copied into the module's memory, encoded there, and copied into the caller's buffer.
 * One memory of fixed size serves all tables, because encoding never suspends. Kinds of columns that the module does not
 * support and values that it rejects are left to the writers. Source: `tuples.wat`, which also defines the memory layout.
 */
import { type Column, type ColumnBatch, viewOf } from "../../arrow/ColumnBatch.ts"
import type { PgColumn } from "../types/PgType.ts"
import type { FieldWriter, Output } from "./FieldWriter.ts"
import { DESCRIPTOR_WORDS, DESCRIPTORS, type FieldShape, STAGING, type TuplePlan } from "./planTuples.ts"
import { PIECE_ROWS } from "./RowNumbering.ts"
import { tuplesModule } from "./tuplesModule.ts"

/** The staging area and the output area of the memory, after the descriptors. */
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

/** The module and its memory, in the forms in which they are used. */
interface Machine {
  readonly encode: (rows: number, fields: number, rowBytes: number, at: number, limit: number) => number
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly view: DataView
}

/** The part of the global that is used; the types of ECMAScript do not declare it. */
declare const WebAssembly: {
  readonly Module: new(bytes: Uint8Array) => object
  readonly Instance: new(module: object) => {
    readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly encode: Machine["encode"] }
  }
}

let machine: Machine | undefined | "absent"

/** The module, compiled at its first use; undefined on a platform without WebAssembly with SIMD. */
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

/** The words of a descriptor that are set for each step. */
const [VALIDITY, BIT, VALUES, DATA] = [1, 2, 3, 5]

/** The values of one column, located for the copy into the memory. */
interface Source {
  readonly column: Column
  readonly shape: FieldShape
  readonly offsets: DataView | undefined
}

/** Writes the tuples of one batch. Results are in fields, so that a step allocates little. */
export class WasmTuples {
  /** The offset after the tuples written last. */
  end = 0
  /** Whether `write` stopped early at a value that the writers must read. */
  rejected = false
  readonly #machine: Machine
  readonly #plan: TuplePlan
  readonly #sources: ReadonlyArray<Source>
  readonly #rows: number
  /** The most bytes of a row besides those of binary and text. */
  readonly #rowBytes: number
  /** Bytes that a row takes in the staging area besides those of binary and text, and the bytes that all rows share. */
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

  /** Binds a batch; none where it needs the writers: NULLs in columns that are declared without, or too few rows. */
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
   * Writes the rows `from` to `to` as far as they are sure to fit, and returns how many.
   *
   * Fewer either because the next row might not fit, or because it has a value that is `rejected` here.
   */
  write(out: Output, at: number, from: number, to: number, indices: Int32Array, rangeEnd: bigint): number {
    this.end = at
    this.rejected = false
    const { bytes, encode, words } = this.#machine
    const { descriptors, shapes } = this.#plan
    words.set(descriptors, DESCRIPTORS / 4)
    if (!this.#stage(from, to, indices, rangeEnd)) {
      this.rejected = true
      return 0
    }
    const limit = OUTPUT + Math.min(out.bytes.length - at, STEP_BYTES)
    const rows = encode(to - from, shapes.length, this.#rowBytes, OUTPUT, limit)
    this.rejected = words[1] === 1
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
      at += DESCRIPTOR_WORDS
    }
    words.set(indices.subarray(0, to - from), this.#staged / 4)
    words[at + VALUES] = this.#staged
    if (this.#plan.shapes.length > this.#sources.length + 1) {
      // Behind the words that an integer uses, in its own descriptor.
      const address = 4 * (at + DESCRIPTOR_WORDS) + 32
      view.setBigInt64(address, rangeEnd, true)
      words[at + DESCRIPTOR_WORDS + VALUES] = address
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
