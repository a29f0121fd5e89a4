/** Finds the positions at which a table and its second table differ, and stores them beside the second table. */
import { Effect } from "effect"
import type { RecordedTable } from "../../domain/bookkeeping/TableIdentity.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { qualifiedName, ROW_INDEX } from "../../domain/postgres/table/tableDdl.ts"
import { textLiteral } from "../../domain/sql/literal.ts"
import { differingPositions } from "../../domain/sql/rowDigests.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import type { ComparedTables } from "../../services/TableExchange.ts"
import { differences, newestReorg, readState } from "./secondTable.ts"

/** A table, the schema of its second table, and what both of them consist of. */
export interface TablePair {
  readonly schema: string
  readonly second: string
  readonly table: string
  readonly positionColumn: string
  /** Every column that Ampsync made. */
  readonly columns: ReadonlyArray<string>
}

export const pairOf = (schema: string, second: string, table: string, recorded: RecordedTable): TablePair => ({
  schema,
  second,
  table,
  positionColumn: recorded.positionColumn,
  columns: recorded.columns ?? []
})

/** Rows are equal whatever their numbers in a block are: two fills may receive them in another order. */
const hashed = ({ columns, positionColumn, table }: TablePair, schema: string) => ({
  name: qualifiedName({ schema, table }),
  positionColumn,
  columns: columns.filter((name) => name !== ROW_INDEX)
})

/** Adds the positions that differ, among those that `condition` selects, to the stored ones. */
export const storeDifferences = (run: RunStatement, pair: TablePair, condition: string) =>
  run(
    `INSERT INTO ${differences(pair.second)} ${
      differingPositions(hashed(pair, pair.schema), hashed(pair, pair.second), condition)
    } ON CONFLICT DO NOTHING`
  )

/** The positions that differ still, among the stored ones. */
export const stillDifferent = (run: RunStatement, pair: TablePair) =>
  Effect.map(
    run(
      `${
        differingPositions(
          hashed(pair, pair.schema),
          hashed(pair, pair.second),
          `${quoteIdentifier(pair.positionColumn)} IN (SELECT block FROM ${differences(pair.second)})`
        )
      } LIMIT 1`
    ),
    (rows) => rows.length > 0
  )

const COLUMNS = `
  SELECT a.attname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped`

/** Compares in the current transaction, which must read one snapshot. */
export const compareTables = Effect.fnUntraced(function*(
  run: RunStatement,
  schema: string,
  second: string,
  table: string
) {
  const stored = differences(second)
  yield* run(`CREATE TABLE IF NOT EXISTS ${stored} (block bigint PRIMARY KEY)`)
  yield* run(`DELETE FROM ${stored}`)
  const [first, other] = [yield* readState(run, schema, table), yield* readState(run, second, table)]
  const newestReorgs = {
    first: yield* newestReorg(run, schema, table),
    second: yield* newestReorg(run, second, table)
  }
  const [drawn] = yield* run<{ readonly token: string }>("SELECT gen_random_uuid()::text AS token")
  const { token } = drawn!
  yield* run(`COMMENT ON TABLE ${stored} IS ${textLiteral(token)}`)
  const none: ComparedTables = { table, token, upTo: undefined, differing: 0, newestReorgs }
  const [one, two] = [first?.checkpoint.history.at(-1), other?.checkpoint.history.at(-1)]
  if (one === undefined || two === undefined || other?.recorded === undefined) return none
  const pair = pairOf(schema, second, table, other.recorded)
  const present = new Set((yield* run<{ readonly name: string }>(COLUMNS, [schema, table])).map(({ name }) => name))
  // The table gets the new columns of its query together with their values.
  if (!pair.columns.every((column) => present.has(column))) return none
  const upTo = one.block < two.block ? one.block : two.block
  yield* storeDifferences(run, pair, `${quoteIdentifier(pair.positionColumn)} <= ${upTo}`)
  const [counted] = yield* run<{ readonly n: string }>(`SELECT count(*) AS n FROM ${stored}`)
  return { ...none, upTo, differing: Number(counted!.n) }
})
