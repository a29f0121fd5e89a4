/** Hashes the rows of a stream as the database hashes the stored ones. */
import { Effect, Result } from "effect"
import type { ColumnBatch } from "../../../domain/arrow/ColumnBatch.ts"
import type { BlockRange } from "../../../domain/chain/BlockRange.ts"
import type { EncodeError, RowCursor } from "../../../domain/postgres/encode/encodeCopy.ts"
import { makeCopyPlan } from "../../../domain/postgres/encode/encodeCopy.ts"
import { outputOf } from "../../../domain/postgres/encode/FieldWriter.ts"
import { makeRowEncoder } from "../../../domain/postgres/encode/RowEncoder.ts"
import type { TableDesign } from "../../../domain/postgres/table/designTable.ts"
import type { RowHash } from "../../../domain/verify/BlockComparison.ts"
import { RecordBytes } from "../../../domain/verify/RecordBytes.ts"
import { DatabaseConfig } from "../../../services/Config.ts"
import { StoredRows, type StoredTable } from "../../../services/StoredRows.ts"
import { COPY_BUFFER_BYTES } from "../../table/CopyBuffers.ts"

export interface RowReader {
  /** Rows carry only the end of their range. */
  readonly rangeMode: boolean
  /** Another range begins. */
  readonly restart: () => void
  /**
   * Hands the rows of blocks above `above` and up to `to` to `visit`, and stops at the first one above `to`; returns the block
   * of the last row that was read. Fails with a row that PostgreSQL cannot hold.
   */
  readonly read: (
    batch: ColumnBatch,
    range: BlockRange,
    above: bigint,
    to: bigint,
    visit: (block: bigint, hash: RowHash) => void
  ) => Effect.Effect<bigint, EncodeError>
}

/** Makes the reader of one table's rows, which encodes them as a sync does. */
export const makeRowReader = Effect.fnUntraced(function*({ columns, position }: TableDesign, stored: StoredTable) {
  const [{ textNul }, { hash }] = [yield* DatabaseConfig, yield* StoredRows]
  const encoder = makeRowEncoder(makeCopyPlan({ columns, position: position.position, textNul }))
  const rangeMode = position.position.kind === "rangeEnd"
  const record = new RecordBytes(
    columns.map(({ name, type }) => ({ typeOid: stored.typeOids.get(name) ?? 0, type })),
    position.position.kind === "column" ? position.position.index : -1
  )
  let cursor: RowCursor | undefined
  let out = outputOf(new Uint8Array(COPY_BUFFER_BYTES))

  const read = (
    batch: ColumnBatch,
    range: BlockRange,
    above: bigint,
    to: bigint,
    visit: (block: bigint, hash: RowHash) => void
  ): Result.Result<bigint, EncodeError> =>
    Result.gen(function*() {
      const bound = yield* encoder.bind(batch)
      let block = range.end
      for (let row = 0; row < batch.rows;) {
        const written = yield* bound.write(out, 0, { from: row, to: batch.rows, range, cursor })
        if (written.rows === 0) out = outputOf(new Uint8Array(yield* bound.bound(row, range)))
        for (let at = 0; at < written.end;) {
          at = record.read(out.bytes, out.view, at)
          if (!rangeMode) block = record.position
          if (block > to && !rangeMode) return block
          if (block > above) visit(block, hash(record.bytes))
        }
        cursor = written.cursor
        row += written.rows
      }
      return block
    })

  return {
    rangeMode,
    restart: () => {
      cursor = undefined
    },
    read: (...request) => Effect.suspend(() => Effect.fromResult(read(...request)))
  } satisfies RowReader as RowReader
})
