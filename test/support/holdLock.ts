/** Locks: holding one in another session, and finding who does. */
import { Effect } from "effect"
import pg from "pg"
import type { TestDatabase } from "./postgres.ts"

/** Runs `statement` in an open transaction of a session of its own, until it is released or the scope closes. */
export const holdLock = Effect.fnUntraced(function*({ schema, url }: TestDatabase, statement: string) {
  const client = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url })
      // A server that crashes meanwhile releases the lock too.
      client.on("error", () => undefined)
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )
  yield* Effect.promise(() => client.query(`SET search_path TO ${schema}; BEGIN; ${statement}`))
  return {
    release: Effect.asVoid(Effect.promise(() => client.query("ROLLBACK"))),
    processId: Effect.map(
      Effect.promise(() => client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")),
      ({ rows }) => rows[0]!.pid
    ),
    /** Rows of a statement in that transaction. */
    query: <Row extends pg.QueryResultRow>(sql: string) =>
      Effect.promise(() => client.query<Row>(sql).then(({ rows }) => rows))
  }
})

/** The server process that holds a lock of a mode, as `pg_locks` names it, on a table; undefined where none does. */
export const lockHolder = ({ query, schema }: TestDatabase, table: string, mode: string) =>
  Effect.map(
    query<{ pid: number }>(
      "SELECT pid FROM pg_locks WHERE relation = to_regclass($1) AND mode = $2 AND granted",
      [`"${schema}"."${table}"`, mode]
    ),
    ([lock]) => lock?.pid
  )
