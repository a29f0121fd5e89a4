import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { compareTable } from "../../domain/postgres/compareTable.ts"
import type { TableDefinition } from "../../domain/postgres/tableDdl.ts"
import { alterTable, commentOn, createTable, indexesOf } from "../../domain/postgres/tableDdl.ts"
import { type Standing, TableRefused } from "../../services/Checkpoints.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import type { TablePlan } from "../../services/TableSink.ts"
import { readTable } from "./readTable.ts"

export interface Examined extends TablePlan {
  /** The data table is gone: what its checkpoint says holds no longer. */
  readonly startsAgain: boolean
}

const HAS_LZ4 = "SELECT 'lz4' = ANY(enumvals) AS lz4 FROM pg_settings WHERE name = 'default_toast_compression'"

const ANEW = "drop the table to have it made and filled anew from the first block"

/** What must be done so that a table holds what its query yields; fails where nothing can be. It only reads. */
export const examineTable = Effect.fnUntraced(function*(
  run: RunStatement,
  definition: TableDefinition,
  standing: Standing
): Effect.fn.Return<Examined, SqlError.SqlError | TableRefused> {
  const { columns, comment, positionColumn, table } = definition
  const refuse = (reason: string) => new TableRefused({ table, reason })
  const hasLz4 = run<{ lz4: boolean }>(HAS_LZ4).pipe(Effect.map(([row]) => row?.lz4 === true))
  const found = yield* readTable(run, definition)
  if (found === undefined) {
    const statements = createTable(definition, yield* hasLz4)
    const notes = standing.isNew
      ? [`created with columns ${columns.map((_) => _.name).join(", ")}`]
      : ["the table was gone although it had a checkpoint; created again, it starts from the first block"]
    return { table, kind: "create", statements, indexed: indexesOf(definition), notes, startsAgain: !standing.isNew }
  }
  if (standing.isNew || !found.isTable) {
    return yield* refuse("something of this name exists that ampsync did not create; it is left alone")
  }
  if (standing.positionColumn !== positionColumn) {
    return yield* refuse(
      `its rows are placed by column "${standing.positionColumn}", those of the query by "${positionColumn}"; ${ANEW}`
    )
  }
  const difference = compareTable(definition, found, standing.earlierColumns)
  const { added } = difference
  const conflicts = [
    ...(found.isLogged
      ? []
      : ["it is UNLOGGED, so a crash of PostgreSQL would empty it unseen; run ALTER TABLE ... SET LOGGED"]),
    ...difference.conflicts
  ]
  if (conflicts.length > 0) {
    const wayOut = difference.conflicts.length > 0 ? `. Undo what was changed, or ${ANEW}` : ""
    return yield* refuse(`the query no longer fits it: ${conflicts.join("; ")}${wayOut}`)
  }
  const alter = alterTable(definition, difference, yield* hasLz4)
  const statements = [
    ...(alter === undefined ? [] : [alter]),
    ...(comment === undefined || comment === found.comment ? [] : [commentOn(definition, comment)])
  ]
  return {
    table,
    kind: statements.length === 0 ? "none" : "alter",
    statements,
    indexed: [],
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
      `stop this process and run: node dist/main.js resync --table ${
        /^[\w-]+$/.test(table) ? table : JSON.stringify(table)
      }`
    ]
  return [...columns, ...query]
}
