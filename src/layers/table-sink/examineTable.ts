import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { TableDefinition } from "../../domain/postgres/tableDdl.ts"
import { alterTable, compareTable, createTable } from "../../domain/postgres/tableDdl.ts"
import { type Standing, TableRefused } from "../../services/Checkpoints.ts"
import type { TablePlan } from "../../services/TableSink.ts"

export type Run = <Row extends object>(
  statement: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError>

export interface Examined extends TablePlan {
  /** The data table is gone: what its checkpoint says holds no longer. */
  readonly startsAgain: boolean
}

const EXISTING_COLUMNS = `
  SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

/** What is in the way of a table of this name, of whatever kind: views and indexes share its namespace. */
const RELATION = `
  SELECT c.relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2`

const HAS_LZ4 = "SELECT 'lz4' = ANY(enumvals) AS lz4 FROM pg_settings WHERE name = 'default_toast_compression'"

/** What must be done so that a table holds what its query yields; fails where nothing can be. It only reads. */
export const examineTable = Effect.fnUntraced(function*(
  run: Run,
  definition: TableDefinition,
  standing: Standing
): Effect.fn.Return<Examined, SqlError.SqlError | TableRefused> {
  const { columns, positionColumn, schema, table } = definition
  const refuse = (reason: string) => new TableRefused({ table, reason })
  const hasLz4 = run<{ lz4: boolean }>(HAS_LZ4).pipe(Effect.map(([row]) => row?.lz4 === true))
  const [relation] = yield* run<{ kind: string }>(RELATION, [schema, table])
  if (relation === undefined) {
    const statements = createTable(definition, yield* hasLz4)
    const notes = standing.isNew
      ? [`created with columns ${columns.map((_) => _.name).join(", ")}`]
      : ["the table was gone although it had a checkpoint; created again, it starts from the first block"]
    return { table, kind: "create", statements, notes, startsAgain: !standing.isNew }
  }
  if (standing.isNew || !/^[rp]$/.test(relation.kind)) {
    return yield* refuse("something of this name exists that ampsync did not create; it is left alone")
  }
  if (standing.positionColumn !== positionColumn) {
    return yield* refuse(`its rows are placed by column "${standing.positionColumn}", which the query no longer yields`)
  }
  const existing = yield* run<{ name: string; type: string; nullable: boolean }>(EXISTING_COLUMNS, [schema, table])
  const difference = compareTable(definition, existing)
  const { added, conflicts } = difference
  if (conflicts.length > 0) return yield* refuse(`the query no longer fits it: ${conflicts.join("; ")}`)
  const statement = alterTable(definition, difference, yield* hasLz4)
  return {
    table,
    kind: statement === undefined ? "none" : "alter",
    statements: statement === undefined ? [] : [statement],
    notes: evolutionNotes(table, added.map((_) => _.name), standing),
    startsAgain: false
  }
})

const evolutionNotes = (table: string, added: ReadonlyArray<string>, standing: Standing): ReadonlyArray<string> => {
  const columns = added.length === 0 ? [] : [`added columns ${added.join(", ")}, empty in rows of earlier blocks`]
  const watermark = standing.history.at(-1)
  const query = standing.earlierFingerprint === undefined || watermark === undefined
    ? []
    : [
      `its query changed: rows up to block ${watermark.block} were made by the earlier one; to make all of them anew, ` +
      `stop this process and run: node dist/main.js resync --table ${/^[\w-]+$/.test(table) ? table : JSON.stringify(table)}`
    ]
  return [...columns, ...query]
}
