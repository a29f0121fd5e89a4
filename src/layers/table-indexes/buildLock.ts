/** The advisory lock of the session that builds indexes of a table. */
import { Effect, Option } from "effect"
import type { SqlError } from "effect/sql"
import { inFinalizer } from "../../domain/inFinalizer.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import type { IndexLock } from "../../services/TableIndexes.ts"

/**
 * Held by the session, so that a build that outlives its process is not mistaken for the remains of an interrupted one.
 * Never awaited: a session that waits for a lock blocks every concurrent build, also the one it waits for.
 */
const LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked"
/** A pooler may keep the session for others after the connection has closed. */
const UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"
/** For a session that a pooler ended, or that does not respond. */
const UNLOCK_TIMEOUT = "2 seconds"
/** Source: PostgreSQL, doc "pg_locks": a bigint key is split into `classid` and `objid`, and `objsubid` is 1. */
const HOLDER = `
  SELECT l.pid AS "processId" FROM pg_locks l, hashtextextended($1, 0) AS key
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.classid::bigint = (key >> 32) & 4294967295 AND l.objid::bigint = key & 4294967295
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** Runs `work` while the session holds the lock of the table's builds; returns the lock where another session does. */
export const withBuildLock = <E>(
  run: RunStatement,
  { schema, table }: { readonly schema: string; readonly table: string },
  work: Effect.Effect<void, E>
): Effect.Effect<Option.Option<IndexLock>, E | SqlError.SqlError> => {
  const lock = `ampsync indexes ${JSON.stringify([schema, table])}`
  return Effect.acquireUseRelease(
    Effect.interruptible(Effect.map(run<{ locked: boolean }>(LOCK, [lock]), ([row]) => row?.locked === true)),
    (isLocked): Effect.Effect<Option.Option<IndexLock>, E | SqlError.SqlError> =>
      isLocked ? Effect.as(work, Option.none()) : holderOf(run, lock),
    (isLocked) => isLocked ? unlock(run, lock) : Effect.void
  )
}

const holderOf = (run: RunStatement, lock: string): Effect.Effect<Option.Option<IndexLock>, SqlError.SqlError> =>
  Effect.map(
    run<{ processId: number }>(HOLDER, [lock]),
    ([row]) => Option.some({ name: lock, processId: row?.processId })
  )

const unlock = (run: RunStatement, lock: string): Effect.Effect<void> =>
  inFinalizer(UNLOCK_TIMEOUT)(run(UNLOCK, [lock]))
