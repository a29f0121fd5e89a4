/** What only reads the bookkeeping: for plans, and for whoever works on a table without its config. */
import { Effect, Option } from "effect"
import { quoteIdentifier } from "../../domain/postgres/identifiers.ts"
import { type Checkpoints, type TableIdentity, TableRefused } from "../../services/Checkpoints.ts"
import { columnsOf, type Row, type Run } from "./rows.ts"

export const makeLooks = (run: Run, databaseSchema: string): Pick<Checkpoints["Service"], "look" | "recorded"> => {
  const schema = quoteIdentifier(databaseSchema)

  const look = Effect.fn("Checkpoints.look")(function*(identity: TableIdentity) {
    // Before the first start there is nothing to look at, and an earlier version may have fewer columns.
    const row = yield* rowOf(identity.table)
    if (row === undefined) {
      const { positionColumn } = identity
      return { history: [], positionColumn, isNew: true, earlierFingerprint: undefined, earlierColumns: undefined }
    }
    if (row["dataset"] !== identity.dataset && row["exists"] === true) {
      return yield* refuseOwner(identity, row["dataset"] ?? null)
    }
    const { max_block_num: block, position_column: positionColumn, query_fingerprint: earlier, watermark_hash: hash } =
      row
    return {
      history: block === null ? [] : [{ block: BigInt(block as string), hash: String(hash) }],
      positionColumn: String(positionColumn),
      isNew: false,
      earlierFingerprint: typeof earlier === "string" && earlier !== identity.fingerprint ? earlier : undefined,
      earlierColumns: columnsOf(row["column_names"])
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
    if (row === undefined || typeof row["dataset"] !== "string") return Option.none<TableIdentity>()
    return Option.some({
      table,
      dataset: row["dataset"],
      version: typeof row["dataset_version"] === "string" ? row["dataset_version"] : undefined,
      fingerprint: String(row["query_fingerprint"]),
      positionColumn: String(row["position_column"])
    })
  })

  return { look, recorded }
}

export const refuseOwner = (identity: TableIdentity, owner: unknown): TableRefused =>
  new TableRefused({
    table: identity.table,
    reason: owner === null
      ? "it was filled by an earlier ampsync, whose checkpoint does not say on which chain; " +
        "set DATABASE_SCHEMA to another schema to sync afresh beside it, or drop it to start again"
      : `dataset ${String(owner)} fills it, not ${identity.dataset}; ` +
        "set DATABASE_SCHEMA to another schema, or drop it to start again"
  })
