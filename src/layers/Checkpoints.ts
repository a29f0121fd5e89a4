import { Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import { hostname } from "node:os"
import { quoteIdentifier } from "../domain/postgres/identifiers.ts"
import { Checkpoints } from "../services/Checkpoints.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { PgPool } from "../services/PgPool.ts"
import { activityOf } from "./checkpoints/activity.ts"
import { bookkeepingDdl, missingRights } from "./checkpoints/ddl.ts"
import { makeLeases } from "./checkpoints/leases.ts"
import { makeLooks } from "./checkpoints/looks.ts"
import { makeProgress } from "./checkpoints/progress.ts"
import type { Row } from "./checkpoints/rows.ts"
import { makeStates } from "./checkpoints/states.ts"

/** `Checkpoints` kept in the tables `_ampsync_*` of the target schema. */
const make = Effect.gen(function*() {
  const { databaseSchema } = yield* AmpsyncConfig
  const { sql, transaction } = yield* PgPool
  const schema = quoteIdentifier(databaseSchema)
  const writerId = randomBytes(4).toString("hex")
  const writer = `${hostname()} pid ${process.pid} (${writerId})`
  const run = (statement: string, params: ReadonlyArray<unknown> = []) => sql.unsafe<Row>(statement, [...params])

  const requireRights = (creates: boolean) =>
    Effect.flatMap(
      missingRights(run, databaseSchema, creates),
      (missing) => missing === undefined ? Effect.void : Effect.fail(missing)
    )

  const pending = Effect.gen(function*() {
    yield* requireRights(false)
    const { comments, definitions } = yield* bookkeepingDdl(run, databaseSchema)
    if (definitions.length > 0) yield* requireRights(true)
    return [...definitions, ...comments]
  })

  const ensure = Effect.gen(function*() {
    yield* pending
    yield* transaction(
      "ampsync start",
      Effect.gen(function*() {
        // Two processes that start together must not create the same tables at once.
        yield* run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`ampsync ${databaseSchema}`])
        const { comments, definitions } = yield* bookkeepingDdl(run, databaseSchema)
        yield* Effect.forEach([...definitions, ...comments], (statement) => run(statement), { discard: true })
      })
    )
    yield* run(
      `DELETE FROM ${schema}._ampsync_writers WHERE abs(extract(epoch FROM clock_timestamp() - heartbeat_at)) > 86400`
    )
    yield* heartbeat
  })

  const heartbeat = Effect.asVoid(run(
    `INSERT INTO ${schema}._ampsync_writers (writer, heartbeat_at) VALUES ($1, clock_timestamp())
     ON CONFLICT (writer) DO UPDATE SET heartbeat_at = excluded.heartbeat_at`,
    [writer]
  ))

  return Checkpoints.of({
    ensure,
    pending,
    heartbeat,
    activity: (table) => activityOf(writerId, table),
    ...makeLooks(run, databaseSchema),
    ...makeLeases(run, databaseSchema, writer),
    ...makeProgress(run, databaseSchema, writer),
    ...makeStates(run, databaseSchema, writer)
  })
})

export const layer: Layer.Layer<Checkpoints, never, PgPool | AmpsyncConfig> = Layer.effect(Checkpoints, make)
