/** Terminates sessions that hang in a transaction on a table. */
import { Effect } from "effect"
import { isAlive } from "../../domain/bookkeeping/leaseConditions.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import { textLiteral } from "../../domain/sql/literal.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import { sessionName, writerIdOf } from "./sessionName.ts"

/** `writer` is the name of this process in the bookkeeping. */
export const makeEviction = (run: RunStatement, databaseSchema: string, writer: string) => {
  const schema = quoteIdentifier(databaseSchema)

  /** Terminates sessions in a transaction on `table`: `ofWriter` and `ofSession` are conditions on their writer and on themselves. */
  const evict = Effect.fnUntraced(function*(table: string, ofWriter: string, ofSession: string) {
    // A session that hangs need not be that of the recorded holder: one that hangs in `acquire` is not recorded yet.
    const writers = yield* run<{ readonly writer: string | null }>(
      `SELECT writer FROM ${schema}._ampsync_writers WHERE ${ofWriter}
       UNION SELECT c.writer FROM ${schema}._ampsync_checkpoints c
       WHERE c.table_name = $1 AND NOT EXISTS (SELECT FROM ${schema}._ampsync_writers w WHERE w.writer = c.writer)`,
      [table]
    )
    const ids = writers.flatMap(({ writer }) => writerIdOf(writer ?? "") ?? [])
    const terminated = yield* run(
      `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
       WHERE a.application_name = ANY($1) AND a.datname = current_database() AND a.xact_start IS NOT NULL
         AND a.pid <> pg_backend_pid() AND ${ofSession}`,
      [ids.map((id) => sessionName(id, table))]
    )
    return terminated.length
  })

  const evictStale = Effect.fn("TableLeases.evictStale")((table: string) =>
    evict(table, `writer = ${textLiteral(writer)} OR NOT (${isAlive("heartbeat_at")})`, "true")
  )

  const evictBuild = Effect.fn("TableLeases.evictBuild")((table: string) => {
    const relation = textLiteral(qualifiedName({ schema: databaseSchema, table }))
    const holdsLock = `SELECT FROM pg_locks l
      WHERE l.pid = a.pid AND l.granted AND l.mode = 'ShareLock' AND l.relation = to_regclass(${relation})`
    return evict(table, "true", `EXISTS (${holdsLock})`)
  })

  return { evictStale, evictBuild }
}
