/** Indexes of the config, in every way in which they come and go. */
import { Effect } from "effect"
import { Client } from "pg"
import { indexName } from "../../../src/domain/postgres/table/tableIndexes.ts"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import type { TestDatabase } from "../../support/postgres.ts"
import { replaceConfig } from "../../support/runningSync.ts"
import { awaitWatermark } from "../../support/snapshots.ts"
import { makeWorld, manifestOf } from "../../support/world.ts"
import type { Stage } from "./stage.ts"

const SQL = "SELECT block_num, hash, extra_data FROM anvil.blocks"

/** Settings of each table before and after the reload. */
const tables = {
  named: [{ indexes: [["extra_data"]] }, { indexes: [["extra_data"]] }],
  nameless: [{ indexes: [["extra_data"]] }, { indexes: [["extra_data"]] }],
  keyed: [{ primaryKey: ["hash", "extra_data"] }, { primaryKey: ["hash", "extra_data"] }],
  byhand: [{}, {}],
  wide: [{}, { indexes: [["extra_data"]] }],
  broken: [{}, { indexes: [["hash"]] }],
  dropped: [{ indexes: [["hash"]] }, {}],
  locked: [{}, { indexes: [["hash"]] }],
  taken: [{}, { indexes: [["hash"]] }],
  cut: [{}, { indexes: [["hash"]] }]
} as const

const names = Object.keys(tables) as Array<keyof typeof tables>

const config = (at: 0 | 1) => ({
  ...manifestOf("amp", {}) as object,
  tables: Object.fromEntries(names.map((name) => [name, { sql: SQL, ...tables[name][at] }]))
})

/** Gives every new row of `table` a value of `bytes` that cannot be compressed. */
const widen = Effect.fnUntraced(function*({ query, schema }: TestDatabase, table: string, bytes: number) {
  yield* query(
    `CREATE FUNCTION widen_${table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       NEW.extra_data := (SELECT decode(string_agg(md5(random()::text), ''), 'hex') FROM generate_series(1, ${
      bytes / 16
    }));
       RETURN NEW; END $$`
  )
  yield* query(
    `CREATE TRIGGER widen BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${schema}.widen_${table}()`
  )
})

/** A transaction that a build on `table` must wait for. */
const openTransaction = ({ schema, url }: TestDatabase, table: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      await client.query(`BEGIN; LOCK TABLE ${schema}.${table} IN ROW EXCLUSIVE MODE`)
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

export const indexes = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
  const { database, simulator } = world
  const { query, schema } = database
  yield* replaceConfig(world, config(0))
  const process = yield* start(world.environment)
  for (const name of ["named", "nameless"]) {
    yield* process.prints(`Table '${name}' has index ${indexName(name, ["extra_data"])}`)
  }
  yield* process.prints(`Table 'dropped' has index ${indexName("dropped", ["hash"])}`)
  for (const name of names) yield* awaitWatermark(world, name, 4n)

  yield* query("CREATE INDEX by_hand ON byhand (extra_data)")
  for (const name of ["named", "keyed", "byhand", "wide"]) yield* widen(database, name, 3_200)
  yield* widen(database, "nameless", 9_600)
  simulator.mine(1)
  yield* sees("indexDropped", "fullIndexStays")
  for (const name of ["named", "nameless", "wide"]) yield* awaitWatermark(world, name, 5n)

  const broken = indexName("broken", ["hash"])
  yield* query(`CREATE INDEX ${broken} ON broken (hash)`)
  yield* query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${broken}'::regclass`)
  yield* query(`CREATE TABLE ${indexName("taken", ["hash"])} ()`)
  yield* holdLock(
    database,
    `SELECT pg_advisory_lock(hashtextextended('ampsync indexes ["${schema}","locked"]', 0))`
  )
  yield* openTransaction(database, "cut")
  yield* replaceConfig(world, config(1))
  yield* eventually(
    "the build that waits is ended",
    Effect.map(
      query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND query LIKE $1",
        [`%${schema}"."cut"%`]
      ),
      (rows) => rows.length > 0
    )
  )
  yield* sees("indexEvent", "indexNotConfigured", "indexesLocked", "indexFailed")
})
