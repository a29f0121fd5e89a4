/** What the build of an index waits for. */
import { type Duration, Effect } from "effect"
import type { SqlError } from "effect/sql"
import { qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import { isLocked, type RunStatement } from "../../services/PgPool.ts"
import type { IndexEvent } from "../../services/TableIndexes.ts"

type Table = { readonly schema: string; readonly table: string }

interface ServerProcess {
  readonly processId: number
}

/** A table and its partitions. */
const RELATIONS =
  "(SELECT to_regclass($1)::oid UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass($1))"

/**
 * Transactions, by their server process, that builds on a table or on its partitions wait for once they are at work. PostgreSQL
 * shows no progress of the concurrent drop of what a build left behind.
 */
const WAITS = `
  SELECT DISTINCT blocking AS "processId" FROM (
    SELECT pid FROM pg_stat_progress_create_index WHERE datname = current_database() AND relid IN ${RELATIONS}
    UNION
    SELECT pid FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE datname = current_database() AND state = 'active' AND query LIKE 'DROP INDEX CONCURRENTLY %'
      AND mode = 'ShareUpdateExclusiveLock' AND relation IN ${RELATIONS}
  ) AS work, unnest(pg_blocking_pids(work.pid)) AS blocking
  WHERE blocking <> 0`

/**
 * Reports the transactions that builds on a table wait for, at every check. A concurrent build waits for those that are older, any
 * other at its end for those that have changed the privileges of the table. Never ends.
 */
export const watchWaits = Effect.fnUntraced(function*(
  run: RunStatement,
  table: Table,
  interval: Duration.Input,
  onEvent: (event: IndexEvent) => Effect.Effect<void>
): Effect.fn.Return<never> {
  const read = run<ServerProcess>(WAITS, [qualifiedName(table)])
  for (;;) {
    yield* Effect.sleep(interval)
    // Only a report: a failure must not end the build.
    for (const { processId } of yield* Effect.orElseSucceed(read, () => [])) {
      yield* onEvent({ kind: "waiting", processId })
    }
  }
})

/** Transactions, by their server process, that hold one of these locks on a table or its partitions. */
const HOLDERS = `
  SELECT DISTINCT pid AS "processId" FROM pg_locks
  WHERE granted AND pid <> pg_backend_pid() AND relation IN ${RELATIONS} AND mode = ANY($2)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** Locks of writers, of VACUUM and of statements that change the table. Source: PostgreSQL, doc "Explicit Locking". */
export const IN_THE_WAY_OF_BUILDS: ReadonlyArray<string> = [
  "RowExclusiveLock",
  "ShareUpdateExclusiveLock",
  "ShareRowExclusiveLock",
  "ExclusiveLock",
  "AccessExclusiveLock"
]
/** Those of readers as well. */
export const ALL_LOCKS: ReadonlyArray<string> = [
  "AccessShareLock",
  "RowShareLock",
  "ShareLock",
  ...IN_THE_WAY_OF_BUILDS
]

/** Reports the transactions that hold the lock which a statement waited for in vain; its failure stays what it is. */
export const reportHolders = (
  run: RunStatement,
  table: Table,
  modes: ReadonlyArray<string>,
  onEvent: (event: IndexEvent) => Effect.Effect<void>
) =>
<A>(effect: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A, SqlError.SqlError> =>
  Effect.tapError(effect, (error) => {
    if (!isLocked(error)) return Effect.void
    const read = run<ServerProcess>(HOLDERS, [qualifiedName(table), modes])
    return read.pipe(
      Effect.flatMap((holders) =>
        Effect.forEach(holders, ({ processId }) => onEvent({ kind: "waiting", processId }), { discard: true })
      ),
      // Only a report: a failure must not end the build.
      Effect.ignore
    )
  })
