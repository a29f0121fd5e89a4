/** Reads rows of `_ampsync_checkpoints` and `_ampsync_watermarks`. Blocks and counts come as decimal text. */
import type { Checkpoint } from "../chain/Checkpoint.ts"
import type { Watermark } from "../chain/watermarks.ts"
import type { RecordedTable } from "./TableIdentity.ts"

export type Row = Readonly<Record<string, unknown>>

/** `history`: the watermarks of the table, ascending. */
export const checkpointOf = (row: Row, history: ReadonlyArray<Row>): Checkpoint => ({
  network: (row["network"] as string | null) ?? undefined,
  origin: optionalBlock(row["origin_block"]),
  unverifiedFrom: optionalBlock(row["unverified_from"]),
  history: history.map((entry) => ({ block: BigInt(entry["block_num"] as string), hash: entry["hash"] as string }))
})

/** The dataset of a row; undefined for one of the first ampsync, which had no such column. */
export const datasetOf = (row: Row): string | undefined => {
  const { dataset } = row
  return typeof dataset === "string" ? dataset : undefined
}

/** The watermark of a row; undefined where the table has none. */
export const watermarkOf = ({ max_block_num: block, watermark_hash: hash }: Row): Watermark | undefined =>
  block === null ? undefined : { block: BigInt(block as string), hash: String(hash) }

/** The recorded identity; undefined for a row without a position column, whose table was never filled. */
export const recordedOf = (row: Row): RecordedTable | undefined => {
  const {
    column_names: columns,
    dataset_version: version,
    position_column: positionColumn,
    query_fingerprint: fingerprint
  } = row
  if (typeof positionColumn !== "string") return undefined
  return {
    positionColumn,
    fingerprint: String(fingerprint),
    ...(typeof version === "string" ? { version } : {}),
    ...(Array.isArray(columns) ? { columns: columns as ReadonlyArray<string> } : {})
  }
}

const optionalBlock = (value: unknown): bigint | undefined => (value === null ? undefined : BigInt(value as string))
