/** Decoded columns and record batches: views of message bodies. */
import type { ArrowField, ArrowSchema } from "./ArrowSchema.ts"

/**
 * One decoded column: views of the message body, nothing copied, every offset inside it checked.
 *
 * `buffers` holds the buffers of the type in IPC order without the validity bitmap: values | offsets, values | views,
 * variadic data buffers... | offsets, sizes | type ids, offsets. They may begin at any byte of their memory and be longer
 * than needed; offset buffers of columns without rows may be empty. `children` are the nested columns; those of a map are
 * its keys and its values. A bit of `validity` set means "present"; absent bitmap: no nulls.
 */
export interface Column {
  readonly field: ArrowField
  readonly length: number
  readonly nullCount: number
  readonly validity: Uint8Array | undefined
  readonly buffers: ReadonlyArray<Uint8Array>
  readonly children: ReadonlyArray<Column>
  /** The values that a dictionary column refers to, in the order they arrived; an index counts over all of them. */
  readonly dictionary: ReadonlyArray<Column>
}

/** The rows of one Arrow record batch. */
export interface ColumnBatch {
  readonly schema: ArrowSchema
  readonly rows: number
  readonly columns: ReadonlyArray<Column>
  /** Bytes of the message body this batch keeps alive. */
  readonly sizeBytes: number
}

/** Whether `row` is null according to the bitmap. */
export const isNull = (validity: Uint8Array | undefined, row: number): boolean =>
  validity !== undefined && ((validity[row >> 3]! >> (row & 7)) & 1) === 0

/** A DataView of the same bytes. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
