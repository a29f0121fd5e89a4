/** `DatabaseChecks` over `PgPool`. */
import { Effect, Layer } from "effect"
import { DatabaseConfig } from "../services/Config.ts"
import { DatabaseChecks } from "../services/DatabaseChecks.ts"
import { PgPool, runOn } from "../services/PgPool.ts"
import { readFacts } from "./database-checks/facts.ts"
import { readPooling } from "./database-checks/pooling.ts"
import { publishedTables } from "./database-checks/publications.ts"
import { readReplication } from "./database-checks/replication.ts"
import { tryBookkeeping, tryNotify, tryTable } from "./database-checks/trials.ts"

const make = Effect.gen(function*() {
  const { databaseSchema } = yield* DatabaseConfig
  const pool = yield* PgPool
  const run = runOn(pool.sql)
  return DatabaseChecks.of({
    facts: readFacts(run),
    pooling: readPooling(pool),
    publishedTables: (tables) => publishedTables(run, databaseSchema, tables),
    replication: readReplication(run),
    tryBookkeeping: (statements) => tryBookkeeping(pool, databaseSchema, statements),
    tryTable: (trial) => tryTable(pool, databaseSchema, trial),
    tryNotify: tryNotify(pool)
  })
})

export const layer: Layer.Layer<DatabaseChecks, never, DatabaseConfig | PgPool> = Layer.effect(DatabaseChecks, make)
