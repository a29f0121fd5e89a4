/** The keys of a table that was created without them. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { sameColumns } from "../../domain/postgres/table/compareTable.ts"
import {
  completeDeferred,
  createDeferred,
  type DeferredIndex,
  planDeferred
} from "../../domain/postgres/table/deferredIndexes.ts"
import { columnList, rowKey, type TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import { dropIndex, INDEX_ROOM, type IndexDetails } from "../../domain/postgres/table/tableIndexes.ts"
import { indexRowTooLarge, type RunStatement } from "../../services/PgPool.ts"
import type { IndexEvent } from "../../services/TableIndexes.ts"
import { TableRejected } from "../../services/TableLeases.ts"
import { briefly } from "./briefly.ts"

/** A reader in a long transaction must not hold up the report that a key is impossible. */
const DROP_LOCK_TIMEOUT = "SET lock_timeout TO '2s'"

/** Builds what is missing, and turns it into the keys of the table. `existing` are its indexes. */
export const buildKeys = Effect.fnUntraced(function*(
  run: RunStatement,
  definition: TableDefinition,
  existing: ReadonlyArray<IndexDetails>,
  isPublished: boolean,
  onEvent: (event: IndexEvent) => Effect.Effect<void>
) {
  const plan = planDeferred(definition, existing)
  if (plan === undefined) return
  for (const name of plan.broken) yield* dropBroken(run, definition, name, onEvent)
  for (const index of plan.missing) {
    yield* onEvent({ ...index, kind: "building" })
    yield* Effect.catch(run(createDeferred(definition, index)), (error) => {
      const impossible = impossibleKey(definition, index, error)
      // What is left may reject rows that the next config allows, long before its build begins.
      const drop = Effect.andThen(run(DROP_LOCK_TIMEOUT), dropBroken(run, definition, index.name, onEvent))
      return Effect.andThen(
        impossible === undefined ? Effect.void : Effect.ignore(drop),
        Effect.fail(impossible ?? error)
      )
    })
    yield* onEvent({ ...index, kind: "built" })
  }
  yield* briefly(run, ...completeDeferred(definition, isPublished))
})

/** Drops what an interrupted or impossible build left behind. */
export const dropBroken = Effect.fnUntraced(function*(
  run: RunStatement,
  table: { readonly schema: string; readonly table: string },
  name: string,
  onEvent: (event: IndexEvent) => Effect.Effect<void>
) {
  yield* run(dropIndex(table, name))
  yield* onEvent({ kind: "dropped broken", name, columns: [] })
})

/** No retry changes that a key cannot be built from the rows that are there. */
const impossibleKey = (
  { positionColumn, table }: TableDefinition,
  { columns, kind }: DeferredIndex,
  error: SqlError.SqlError
): TableRejected | undefined => {
  const key = `${kind === "primary key" ? "its primary key" : "its key"} ${columnList(columns)}`
  if (error.reason._tag === "UniqueViolation") {
    const remedy = sameColumns(columns, rowKey(positionColumn))
      ? "Ampsync numbers the rows, so somebody else has added or changed some: fill the table again with resync"
      : "name columns in \"primaryKey\" of the config that no two rows share"
    return new TableRejected({
      table,
      reason: `${key} cannot be built, because rows have the same values in it; ${remedy}`
    })
  }
  if (indexRowTooLarge(error) === undefined) return undefined
  return new TableRejected({
    table,
    reason: `${key} cannot be built, because rows have values in it that are too large (${INDEX_ROOM}); name shorter ` +
      "columns in \"primaryKey\" of the config"
  })
}
