/** What only reads the bookkeeping: for plans, and for whoever works on a table without its config. */
import { Effect, Option } from "effect"
import { quoteIdentifier } from "../../domain/postgres/identifiers.ts"
import { type Checkpoints, type TableIdentity, type TableOwner, TableRefused } from "../../services/Checkpoints.ts"
import { recordedOf, type Row, type Run } from "./rows.ts"

export const makeLooks = (run: Run, databaseSchema: string): Pick<Checkpoints["Service"], "look" | "recorded"> => {
  const schema = quoteIdentifier(databaseSchema)

  const look = Effect.fn("Checkpoints.look")(function*(owner: TableOwner) {
    // Before the first start there is nothing to read, and an earlier version may have fewer columns.
    const row = yield* rowOf(owner.table)
    if (row === undefined) return { exists: false, watermark: undefined, recorded: undefined }
    if (isFilledByOther(owner, row)) return yield* refuseOwner(owner, row["dataset"] ?? null)
    const { max_block_num: block, watermark_hash: hash } = row
    return {
      exists: true,
      watermark: block === null ? undefined : { block: BigInt(block as string), hash: String(hash) },
      recorded: recordedOf(row)
    }
  })

  const rowOf = Effect.fnUntraced(function*(table: string) {
    const [bookkeeping] = yield* run("SELECT to_regclass($1) IS NOT NULL AS exists", [`${schema}._ampsync_checkpoints`])
    if (bookkeeping?.["exists"] !== true) return undefined
    const [found] = yield* run(
      `SELECT to_jsonb(c) || jsonb_build_object(
         'max_block_num', c.max_block_num::text,
         'exists', to_regclass(format('%I.%I', $2::text, c.table_name)) IS NOT NULL
       ) AS row FROM ${schema}._ampsync_checkpoints c WHERE c.table_name = $1`,
      [table, databaseSchema]
    )
    return found?.["row"] as Row | undefined
  })

  const recorded = Effect.fn("Checkpoints.recorded")(function*(table: string) {
    const row = yield* rowOf(table)
    const found = row === undefined ? undefined : recordedOf(row)
    if (row === undefined || found === undefined || typeof row["dataset"] !== "string") {
      return Option.none<TableIdentity>()
    }
    const { dataset, dataset_version: version } = row
    return Option.some({ ...found, table, dataset, version: typeof version === "string" ? version : undefined })
  })

  return { look, recorded }
}

/**
 * Whether the table with the checkpoint `row` holds rows of somebody else. Who dropped the data table gave up what its
 * checkpoint says, and a row without a position never had one: the lease goes to whoever asks, and the table starts again.
 * The rows of the first ampsync have no dataset, and an earlier version may not have the column.
 */
export const isFilledByOther = (asking: TableOwner, row: Row): boolean => {
  const { dataset = null, exists, position_column: positionColumn } = row
  const neverFilled = dataset !== null && positionColumn === null
  return dataset !== asking.dataset && exists === true && !neverFilled
}

export const refuseOwner = (asking: TableOwner, owner: unknown): TableRefused =>
  new TableRefused({
    table: asking.table,
    reason: owner === null
      ? "it was filled by an earlier ampsync, whose checkpoint does not say on which chain; " +
        "set DATABASE_SCHEMA to another schema to sync afresh beside it, or drop it to start again"
      : `dataset ${String(owner)} fills it, not ${asking.dataset}; ` +
        "set DATABASE_SCHEMA to another schema, or drop it to start again"
  })
