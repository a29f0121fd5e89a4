/** Statements that lock a table for a moment. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { RunStatement } from "../../services/PgPool.ts"

/** Readers, and chunks, which give up after a second, queue behind a lock that is waited for; it is retried with the build. */
const LOCK_TIMEOUT = "500ms"

/** Runs `statements` in a transaction, with a time limit for locks. */
export const briefly = (
  run: RunStatement,
  ...statements: ReadonlyArray<string>
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.asVoid(run(["BEGIN", `SET LOCAL lock_timeout TO '${LOCK_TIMEOUT}'`, ...statements, "COMMIT"].join("; "))).pipe(
    // The session goes on with the next statement, or is returned to a pooler.
    Effect.tapError(() => Effect.ignore(run("ROLLBACK")))
  )
