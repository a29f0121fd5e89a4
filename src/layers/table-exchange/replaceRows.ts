/** Replaces the rows of a table by those of its second table, in the current transaction. */
import { Effect } from "effect"
import { notReached } from "../../domain/chain/secondTable.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { columnList, qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import type { PgPool, RunStatement } from "../../services/PgPool.ts"
import { type ComparedTables, SecondTableBehind } from "../../services/TableExchange.ts"
import { TableRejected } from "../../services/TableLeases.ts"
import { stillDifferent, storeDifferences, type TablePair } from "./compareTables.ts"
import { differences } from "./secondTable.ts"

/** As many reorgs as are kept of a table: with more of them since the comparison it is not known what they replaced. */
const KEPT_REORGS = 1_000

/** The first block that has to be compared again, because it was replaced since a comparison; undefined for all of them. */
const comparedAgainFrom = Effect.fnUntraced(function*(
  run: RunStatement,
  { schema, second, table }: TablePair,
  { newestReorgs, token, upTo }: ComparedTables
) {
  // A server that lost its last transactions may have lost the comparison as well.
  const [row] = yield* run<{ readonly token: string | null }>(
    "SELECT obj_description(to_regclass($1), 'pg_class') AS token",
    [
      differences(second)
    ]
  )
  if (upTo === undefined || row?.token !== token) return undefined
  let from = upTo + 1n
  for (const [name, newest] of [[schema, newestReorgs.first], [second, newestReorgs.second]] as const) {
    const [row] = yield* run<{ readonly n: string; readonly first: string | null }>(
      `SELECT count(*) AS n, min(first_block) AS first FROM ${quoteIdentifier(name)}._ampsync_reorgs
       WHERE table_name = $1 AND id > $2::bigint`,
      [table, newest.toString()]
    )
    if (Number(row!.n) >= KEPT_REORGS) return undefined
    if (row!.first !== null && BigInt(row!.first) < from) from = BigInt(row!.first)
  }
  return from
})

/** Rows that were deleted and added. */
export interface Exchanged {
  readonly removed: number
  readonly added: number
}

/** Makes the statements of one exchange. */
export const makeExchange = <E>(
  run: RunStatement,
  sql: PgPool["Service"]["sql"],
  pair: TablePair,
  /** Makes room for rows at these positions, where the table is partitioned. */
  makeRoom: (first: bigint, last: bigint) => Effect.Effect<void, E>
) => {
  const { columns, positionColumn, schema, second, table } = pair
  const stored = differences(second)
  const position = quoteIdentifier(positionColumn)
  const [name, source] = [qualifiedName({ schema, table }), qualifiedName({ schema: second, table })]
  const selected = `${position} IN (SELECT block FROM ${stored})`

  const rowCount = (statement: string) =>
    Effect.map(sql.unsafe(statement).raw, (result) => (result as { rowCount: number | null }).rowCount ?? 0)

  const irreplaceable = new TableRejected({
    table,
    reason:
      "its rows could not be replaced although the server reported no error: a trigger, a rule or a row security " +
      "policy on the table keeps or changes them; remove it, or exempt this role from it"
  })

  /** Replaces the rows at the stored positions, and fails where that did not make the tables equal there. */
  const replaceStored = Effect.fnUntraced(function*(first: bigint | undefined) {
    if (first === undefined) return { removed: 0, added: 0 }
    yield* run(`ANALYZE ${stored}`)
    const [highest] = yield* run<{ readonly last: string }>(`SELECT max(block) AS last FROM ${stored}`)
    yield* makeRoom(first, BigInt(highest!.last))
    const removed = yield* rowCount(`DELETE FROM ${name} WHERE ${selected}`)
    const [left] = yield* run<{ readonly exists: boolean }>(`SELECT EXISTS (SELECT FROM ${name} WHERE ${selected})`)
    if (left?.exists === true) return yield* irreplaceable
    const list = columnList(columns)
    const added = yield* rowCount(
      `INSERT INTO ${name} ${list} SELECT ${columns.map(quoteIdentifier).join(", ")} FROM ${source} WHERE ${selected}`
    )
    if (yield* stillDifferent(run, pair)) return yield* irreplaceable
    return { removed, added } satisfies Exchanged as Exchanged
  })

  const count = Effect.map(
    run<{ readonly rows: string }>(`SELECT count(*) AS rows FROM ${name}`),
    ([row]) => BigInt(row!.rows)
  )

  const compareFrom = Effect.fnUntraced(function*(from: bigint | undefined) {
    const condition = from === undefined ? "true" : `${position} >= ${from}`
    yield* run(`DELETE FROM ${stored} WHERE ${from === undefined ? "true" : `block >= ${from}`}`)
    yield* storeDifferences(run, pair, condition)
  })

  /** Completes the comparison and replaces the rows at all positions that differ; `rows` is their number afterwards. */
  const exchange = Effect.fnUntraced(function*(compared: ComparedTables, rows: bigint) {
    const from = yield* comparedAgainFrom(run, pair, compared)
    yield* run(`CREATE TABLE IF NOT EXISTS ${stored} (block bigint PRIMARY KEY)`)
    yield* compareFrom(from)
    const lowest = Effect.map(
      run<{ readonly first: string | null }>(`SELECT min(block) AS first FROM ${stored}`),
      ([row]) => row!.first === null ? undefined : BigInt(row!.first)
    )
    const first = yield* lowest
    const done = yield* replaceStored(first)
    if ((yield* count) === rows) return { ...done, firstPosition: first }
    // Somebody else has changed rows since the comparison: all is compared again.
    yield* compareFrom(undefined)
    const firstOfAll = yield* lowest
    const rest = yield* replaceStored(firstOfAll)
    const found = yield* count
    if (found !== rows) {
      return yield* new TableRejected({
        table,
        reason:
          `its second table holds ${found} rows and was filled with ${rows}: somebody else has changed it; drop schema ` +
          `"${second}" to begin again`
      })
    }
    const firstPosition = first === undefined || (firstOfAll !== undefined && firstOfAll < first) ? firstOfAll : first
    return { removed: done.removed + rest.removed, added: done.added + rest.added, firstPosition }
  })

  return exchange
}

/** Fails unless the second table has reached the first one. */
export const requireReachedBy = (
  table: string,
  first: Parameters<typeof notReached>[0],
  second: Parameters<typeof notReached>[1]
): Effect.Effect<void, SecondTableBehind> => {
  const reason = notReached(first, second)
  return reason === undefined ? Effect.void : Effect.fail(new SecondTableBehind({ table, reason }))
}
