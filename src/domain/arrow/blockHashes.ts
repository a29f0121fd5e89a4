import type { ColumnBatch } from "./ColumnBatch.ts"

/** The hashes in the first column of a batch, as `0x` and hex; none where it does not hold 32-byte values. */
export const blockHashes = (batch: ColumnBatch): ReadonlyArray<string> => {
  const [column] = batch.columns
  const [values] = column?.buffers ?? []
  const type = column?.field.type
  if (column === undefined || values === undefined || type?.kind !== "fixedSizeBinary" || type.width !== 32) return []
  return Array.from({ length: batch.rows }, (_, row) => {
    const bytes = values.subarray(row * 32, row * 32 + 32)
    return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`
  })
}
