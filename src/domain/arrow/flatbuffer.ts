/** Reads flatbuffers in place, with every offset checked. */
import { reject } from "./MalformedArrow.ts"

/**
 * A table inside a flatbuffer, read in place.
 *
 * Every read goes through a DataView of the message, which throws `RangeError` beyond its end; counts are checked
 * against the bytes that are left before anything is allocated. A slot that the writer left out has its default.
 * Source: FlatBuffers, docs/source/internals ("Tables", "Vectors").
 */
export class FlatTable {
  readonly view: DataView
  readonly #at: number
  readonly #vtable: number
  readonly #vtableBytes: number

  constructor(view: DataView, at: number) {
    this.view = view
    this.#at = at
    this.#vtable = at - view.getInt32(at, true)
    this.#vtableBytes = view.getUint16(this.#vtable, true)
  }

  /** The offset of the value of `slot`; undefined when the writer left it out. */
  #find(slot: number): number | undefined {
    const entry = 4 + 2 * slot
    if (entry + 2 > this.#vtableBytes) return undefined
    const offset = this.view.getUint16(this.#vtable + entry, true)
    return offset === 0 ? undefined : this.#at + offset
  }

  #follow(at: number): number {
    return at + this.view.getUint32(at, true)
  }

  has(slot: number): boolean {
    return this.#find(slot) !== undefined
  }

  bool(slot: number): boolean {
    return this.uint8(slot, 0) !== 0
  }

  uint8(slot: number, absent: number): number {
    const at = this.#find(slot)
    return at === undefined ? absent : this.view.getUint8(at)
  }

  int16(slot: number, absent: number): number {
    const at = this.#find(slot)
    return at === undefined ? absent : this.view.getInt16(at, true)
  }

  int32(slot: number, absent: number): number {
    const at = this.#find(slot)
    return at === undefined ? absent : this.view.getInt32(at, true)
  }

  bigint64(slot: number): bigint {
    const at = this.#find(slot)
    return at === undefined ? 0n : this.view.getBigInt64(at, true)
  }

  /** A length or an offset: rejected when negative or beyond what a number counts exactly. */
  size(slot: number): number {
    const at = this.#find(slot)
    return at === undefined ? 0 : sizeAt(this.view, at)
  }

  string(slot: number): string | undefined {
    const at = this.#find(slot)
    if (at === undefined) return undefined
    const start = this.#follow(at)
    const count = vectorCount(this.view, start, 1)
    try {
      return utf8.decode(new Uint8Array(this.view.buffer, this.view.byteOffset + start + 4, count))
    } catch {
      return reject("a name in the schema is not valid UTF-8")
    }
  }

  table(slot: number): FlatTable | undefined {
    const at = this.#find(slot)
    return at === undefined ? undefined : new FlatTable(this.view, this.#follow(at))
  }

  tables(slot: number): ReadonlyArray<FlatTable> {
    const { start, count } = this.vector(slot, 4)
    return Array.from({ length: count }, (_, index) => new FlatTable(this.view, this.#follow(start + 4 * index)))
  }

  /** A vector of scalars or structs of `elementBytes` each: the offset of the first one, and their number. */
  vector(slot: number, elementBytes: number): { readonly start: number; readonly count: number } {
    const at = this.#find(slot)
    if (at === undefined) return { start: 0, count: 0 }
    const start = this.#follow(at)
    return { start: start + 4, count: vectorCount(this.view, start, elementBytes) }
  }
}

/** The root table of a flatbuffer. */
export const rootTable = (bytes: Uint8Array): FlatTable => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return new FlatTable(view, view.getUint32(0, true))
}

/** Reads an int64 that counts bytes or rows. */
export const sizeAt = (view: DataView, at: number): number => {
  const size = view.getInt32(at + 4, true) * 4294967296 + view.getUint32(at, true)
  return size >= 0 && size <= Number.MAX_SAFE_INTEGER
    ? size
    : reject("a length in the message is negative or too large")
}

const vectorCount = (view: DataView, at: number, elementBytes: number): number => {
  const count = view.getUint32(at, true)
  return at + 4 + count * elementBytes <= view.byteLength ? count : reject("the message is cut short")
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
