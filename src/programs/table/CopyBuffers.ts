/** The buffers that encoded rows are written into, used again and again by all tables. */
import { type Output, outputOf } from "../../domain/postgres/encode/FieldWriter.ts"

/** Measured: below 64 KiB the messages cost, above 1 MiB PostgreSQL waits for the next one. */
export const COPY_BUFFER_BYTES = 256 * 1024

/** A buffer that is being filled. */
export interface CopyBuffer extends Output {
  /** Bytes written so far. */
  end: number
}

export interface CopyBuffers {
  readonly take: () => CopyBuffer
  /** Only buffers of the usual size are kept, and no more than a writer of every permit needs. */
  readonly release: (buffer: CopyBuffer) => void
}

/** Buffers that one writer has under way at most: what waits for the network, and the one that is filled. */
const BUFFERS_PER_WRITER = 9

export const makeCopyBuffers = (writers: number): CopyBuffers => {
  const free: Array<CopyBuffer> = []
  return {
    take: () => free.pop() ?? newBuffer(COPY_BUFFER_BYTES),
    release: (buffer) => {
      if (buffer.bytes.length !== COPY_BUFFER_BYTES || free.length >= writers * BUFFERS_PER_WRITER) return
      buffer.end = 0
      free.push(buffer)
    }
  }
}

/** A buffer for one row that is larger than the others. */
export const newBuffer = (sizeBytes: number): CopyBuffer => ({ ...outputOf(new Uint8Array(sizeBytes)), end: 0 })
