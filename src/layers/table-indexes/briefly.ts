/** Statements that lock a table for a moment. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import { isLocked, type RunStatement } from "../../services/PgPool.ts"
import type { IndexEvent } from "../../services/TableIndexes.ts"
import { ALL_LOCKS, reportHolders } from "./waits.ts"

/** Readers, and chunks, which give up after a second, queue behind a lock that is waited for; it is retried with the build. */
const SET_LOCK_TIMEOUT = "SET LOCAL lock_timeout TO '500ms'"
/**
 * A second more than `deadlock_timeout`, after which PostgreSQL ends an autovacuum that somebody waits for, and ten seconds at
 * most. So it is two by default.
 */
export const OUTLAST_AUTOVACUUM =
  "SELECT set_config('lock_timeout', (least(setting::int, 9000) + 1000)::text, true) FROM pg_settings WHERE name = 'deadlock_timeout'"

type Table = { readonly schema: string; readonly table: string }

/** Runs `statements` in a transaction, with a time limit for locks. */
export const briefly = (
  run: RunStatement,
  ...statements: ReadonlyArray<string>
): Effect.Effect<void, SqlError.SqlError> => inTransaction(run, SET_LOCK_TIMEOUT, ...statements)

const inTransaction = (
  run: RunStatement,
  ...statements: ReadonlyArray<string>
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.asVoid(run(["BEGIN", ...statements, "COMMIT"].join("; "))).pipe(
    // The session goes on with the next statement, or is returned to a pooler.
    Effect.tapError(() => Effect.ignore(run("ROLLBACK")))
  )

/**
 * As `briefly`, for a statement that locks `table` against everybody and that rows wait for. Builds and vacuums are in its way for
 * hours: `evict` ends builds, and returns their number. Readers and writers do not notice the wait for those. Reports who else
 * is in the way, and fails then.
 */
export const brieflyAlone = (
  run: RunStatement,
  evict: Effect.Effect<number, SqlError.SqlError>,
  onEvent: (event: IndexEvent) => Effect.Effect<void>
) =>
(table: Table, statement: string): Effect.Effect<void, SqlError.SqlError> => {
  const lock = `LOCK TABLE ${qualifiedName(table)} IN SHARE UPDATE EXCLUSIVE MODE`
  const attempt = inTransaction(run, OUTLAST_AUTOVACUUM, lock, SET_LOCK_TIMEOUT, statement)
  return attempt.pipe(
    Effect.catchIf(isLocked, (error) => Effect.flatMap(evict, (ended) => ended > 0 ? attempt : Effect.fail(error))),
    reportHolders(run, table, ALL_LOCKS, onEvent)
  )
}
