/** Creates and extends the bookkeeping in the target schema. */
import { Effect, Layer } from "effect"
import { isAlive } from "../domain/bookkeeping/leaseConditions.ts"
import { quoteIdentifier } from "../domain/postgres/table/identifiers.ts"
import { textLiteral } from "../domain/sql/literal.ts"
import { REPEATED_WRITE } from "../domain/sql/transaction.ts"
import { VERSION } from "../domain/version.ts"
import { Bookkeeping } from "../services/Bookkeeping.ts"
import { DatabaseConfig } from "../services/Config.ts"
import { PgPool, runOn } from "../services/PgPool.ts"
import { TableLeases } from "../services/TableLeases.ts"
import { bookkeepingDdl, missingRights } from "./bookkeeping/ddl.ts"
import { makeReports } from "./bookkeeping/reports.ts"

/** The `application_name` of the session that creates the tables. */
const SESSION_NAME = "ampsync start"

/** `Bookkeeping` in the target schema. */
const make = Effect.gen(function*() {
  const { databaseSchema, publication } = yield* DatabaseConfig
  const { sql, transaction } = yield* PgPool
  const { heartbeat, writer } = yield* TableLeases
  const schema = quoteIdentifier(databaseSchema)
  const run = runOn(sql)

  const requireRights = (creates: boolean) =>
    Effect.flatMap(
      missingRights(run, databaseSchema, creates),
      (missing) => missing === undefined ? Effect.void : Effect.fail(missing)
    )

  const pending = Effect.gen(function*() {
    yield* requireRights(false)
    const { comments, definitions } = yield* bookkeepingDdl(run, databaseSchema, publication)
    if (definitions.length > 0) yield* requireRights(true)
    return [...definitions, ...comments]
  })

  const ensure = Effect.gen(function*() {
    yield* pending
    yield* transaction(
      SESSION_NAME,
      Effect.gen(function*() {
        // Two processes that start together must not create the same tables at once.
        yield* run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`ampsync ${databaseSchema}`])
        const { comments, definitions } = yield* bookkeepingDdl(run, databaseSchema, publication)
        yield* Effect.forEach([...definitions, ...comments], (statement) => run(statement), { discard: true })
      })
    )
    yield* run(
      `${REPEATED_WRITE};
       DELETE FROM ${schema}._ampsync_writers WHERE abs(extract(epoch FROM clock_timestamp() - heartbeat_at)) > 86400`
    )
    yield* heartbeat
    yield* run(
      `${REPEATED_WRITE};
       UPDATE ${schema}._ampsync_writers SET version = ${textLiteral(VERSION)},
         started_at = coalesce(started_at, clock_timestamp()) WHERE writer = ${textLiteral(writer)}`
    )
  })

  const walLevel = Effect.map(
    run<{ readonly level: string }>("SELECT current_setting('wal_level') AS level"),
    ([row]) => row!.level
  )

  const abandoned = Effect.fn("Bookkeeping.abandoned")(function*(dataset: string, tables: ReadonlyArray<string>) {
    const select = run<{ readonly table_name: string }>(
      `SELECT table_name FROM ${schema}._ampsync_checkpoints c JOIN ${schema}._ampsync_progress p USING (table_name)
       WHERE c.dataset = $1 AND table_name <> ALL($2::text[]) AND p.state IN ('offline', 'stopped')
         AND NOT coalesce(${isAlive("p.writer_seen_at")}, false)
       ORDER BY table_name`,
      [dataset, tables]
    )
    const found = yield* transaction(SESSION_NAME, select)
    return found.map(({ table_name: table }) => table)
  })

  return Bookkeeping.of({ ensure, pending, walLevel, abandoned, ...makeReports(run, databaseSchema, writer) })
})

export const layer: Layer.Layer<Bookkeeping, never, DatabaseConfig | PgPool | TableLeases> = Layer.effect(
  Bookkeeping,
  make
)
