/** The keys of a table that was created without them. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { sameColumns } from "../../domain/postgres/table/compareTable.ts"
import {
  completeDeferred,
  createDeferred,
  type DeferredIndex,
  lockForBuild,
  planDeferred
} from "../../domain/postgres/table/deferredIndexes.ts"
import { columnList, rowKey, type TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import { dropIndex, INDEX_ROOM, type IndexDetails } from "../../domain/postgres/table/tableIndexes.ts"
import { NO_TRANSACTION_TIMEOUT } from "../../domain/sql/transaction.ts"
import { indexRowTooLarge, type RunStatement } from "../../services/PgPool.ts"
import type { IndexEvent, WhileAtRest } from "../../services/TableIndexes.ts"
import { TableRejected } from "../../services/TableLeases.ts"
import { briefly, OUTLAST_AUTOVACUUM } from "./briefly.ts"
import { ALL_LOCKS, IN_THE_WAY_OF_BUILDS, reportHolders } from "./waits.ts"

/**
 * Without this PostgreSQL finishes the build for a process that is gone, and its lock keeps the next one from writing. Less than
 * a chunk waits for a lock. PostgreSQL 14 and newer have it, and refuse it on some platforms.
 */
const END_WITH_CLIENT =
  "SELECT set_config(name, '500ms', true) FROM pg_settings WHERE name = 'client_connection_check_interval'"

export interface KeysToBuild {
  readonly definition: TableDefinition
  /** The indexes of the table. */
  readonly existing: ReadonlyArray<IndexDetails>
  readonly isPublished: boolean
  readonly whileAtRest: WhileAtRest
  readonly onEvent: (event: IndexEvent) => Effect.Effect<void>
}

/** Builds what is missing, and turns it into the keys of the table. */
export const buildKeys = Effect.fnUntraced(function*(
  run: RunStatement,
  { definition, existing, isPublished, onEvent, whileAtRest }: KeysToBuild
) {
  const plan = planDeferred(definition, existing)
  if (plan === undefined) return
  for (const name of plan.broken) yield* dropBroken(run, definition, name, onEvent)
  const endsWithClient = yield* Effect.isSuccess(run(END_WITH_CLIENT))
  const settings = [
    "SET LOCAL statement_timeout TO 0",
    NO_TRANSACTION_TIMEOUT,
    ...(endsWithClient ? [END_WITH_CLIENT] : []),
    // The writer rests for as long as its lock is waited for.
    OUTLAST_AUTOVACUUM
  ]
  yield* whileAtRest(Effect.gen(function*() {
    for (const index of plan.missing) {
      yield* build(run, settings, definition, index, onEvent({ ...index, kind: "building" })).pipe(
        reportHolders(run, definition, IN_THE_WAY_OF_BUILDS, onEvent),
        Effect.mapError((error) => impossibleKey(definition, index, error) ?? error)
      )
      yield* onEvent({ ...index, kind: "built" })
    }
    yield* briefly(run, ...completeDeferred(definition, isPublished)).pipe(
      reportHolders(run, definition, ALL_LOCKS, onEvent)
    )
  }))
})

/** Builds one in a transaction, which leaves nothing behind where it does not come to its end. */
const build = (
  run: RunStatement,
  settings: ReadonlyArray<string>,
  definition: TableDefinition,
  index: DeferredIndex,
  onLocked: Effect.Effect<void>
) =>
  Effect.gen(function*() {
    yield* run(["BEGIN", ...settings, lockForBuild(definition), "SET LOCAL lock_timeout TO 0"].join("; "))
    yield* onLocked
    yield* run(createDeferred(definition, index))
    yield* run("COMMIT")
  }).pipe(Effect.tapError(() => Effect.ignore(run("ROLLBACK"))))

/** Drops what an interrupted build left behind, or one for an earlier config. */
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
