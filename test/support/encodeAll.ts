/** Encodes whole batches, as tests of the encoder compare them. */
import { Result } from "effect"
import type { ColumnBatch } from "../../src/domain/arrow/ColumnBatch.ts"
import type { CopyPlan, EncodeError, RowCursor, RowSpan } from "../../src/domain/postgres/encode/encodeCopy.ts"
import { outputOf } from "../../src/domain/postgres/encode/FieldWriter.ts"
import { makeRowEncoder, type RowEncoder } from "../../src/domain/postgres/encode/RowEncoder.ts"

interface EncodeInput extends RowSpan {
  readonly batch: ColumnBatch
}

interface EncodedRows {
  /** Tuples without header and trailer. */
  readonly bytes: Uint8Array
  /** Where the next rows of the same range continue. */
  readonly cursor: RowCursor | undefined
}

/** Encodes all rows of a span through buffers of `bufferBytes`, as a caller that writes them to a socket does. */
export const encodeAll = (
  plan: CopyPlan,
  input: EncodeInput,
  bufferBytes = 65_536,
  encoder: RowEncoder = makeRowEncoder(plan)
): Result.Result<EncodedRows, EncodeError> => encodeWith(encoder, input, bufferBytes)

export const encodeWith = (
  encoder: RowEncoder,
  { batch, cursor, from, range, to }: EncodeInput,
  bufferBytes = 65_536
): Result.Result<EncodedRows, EncodeError> =>
  Result.gen(function*() {
    const bound = yield* encoder.bind(batch)
    const pieces: Array<Uint8Array> = []
    let out = outputOf(new Uint8Array(bufferBytes))
    for (let row = from; row < to;) {
      const written = yield* bound.write(out, 0, { from: row, to, range, cursor })
      if (written.rows === 0) out = outputOf(new Uint8Array(yield* bound.bound(row, range)))
      pieces.push(out.bytes.slice(0, written.end))
      cursor = written.cursor
      row += written.rows
    }
    return { bytes: Uint8Array.from(Buffer.concat(pieces)), cursor }
  })
