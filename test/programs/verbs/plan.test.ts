import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startAmpsync } from "../../support/ampsyncProcess.ts"
import { startProxy, throughProxy } from "../../support/proxy.ts"
import { type Ended, runAmpsync } from "../../support/runAmpsync.ts"
import { awaitCanonicalChain } from "../../support/snapshots.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"
import { allTables, makeWorld, manifestOf, type World } from "../../support/world.ts"

/** Runs `ampsync plan` to its end. */
const plan = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
  runAmpsync(environment, "plan", ...args)

type Settings = Readonly<Record<string, unknown>>

/** Replaces the config; `settings` are those of single tables. */
const configure = (
  world: World,
  queries: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, Settings>> = {}
) =>
  Effect.promise(() => {
    const manifest = manifestOf("amp", queries) as { tables: Record<string, object> }
    const tables = Object.entries(manifest.tables).map(([name, table]) => [name, { ...table, ...settings[name] }])
    return writeFile(world.manifestPath, JSON.stringify({ ...manifest, tables: Object.fromEntries(tables) }))
  })

/** All relations of a schema, and the writer epoch of each checkpoint. */
const inventory = ({ database: { query, schema } }: World) =>
  Effect.all([
    query(
      `SELECT c.relname, c.relkind, c.relfilenode, (SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = c.oid) AS columns
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 ORDER BY 1`,
      [schema]
    ),
    query("SELECT nspname FROM pg_namespace WHERE nspname = $1", [schema])
  ])

const checkpoints = ({ database }: World) =>
  database.query("SELECT table_name, writer_epoch, writer, query_fingerprint FROM _ampsync_checkpoints ORDER BY 1")

const synced = Effect.fnUntraced(function*(world: World) {
  const process = yield* startAmpsync(world.environment)
  yield* awaitCanonicalChain(world)
  return process
})

const kindsOf = ({ stdout }: Ended): Record<string, string> => {
  const { tables } = JSON.parse(stdout) as { tables: ReadonlyArray<{ table: string; kind: string }> }
  return Object.fromEntries(tables.map(({ kind, table }) => [table, kind]))
}

describe("ampsync plan", () => {
  it.live(
    "prints what a first start would create, exits 3, and creates nothing, not even the schema",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
        yield* world.database.query(`DROP SCHEMA ${world.database.schema}`)
        // Every one of these indexes comes with its table.
        yield* configure(world, allTables, {
          blocks: { indexes: [["block_num"]] },
          transactions: { primaryKey: ["tx_hash"], indexes: [["tx_hash"], ["_block_num", "_row_index"]] },
          logs: { partitionBy: { blocks: 100 }, indexes: [["address"]] }
        })
        const result = yield* plan(world.environment)
        assert.strictEqual(result.code, 3, result.stderr)
        assert.match(
          result.stdout,
          new RegExp(
            `^bookkeeping: \\d\\d statements for schema "${world.database.schema}", _ampsync_checkpoints, .*; --sql prints them$`,
            "m"
          )
        )
        assert.notInclude(result.stdout, "CREATE SCHEMA")
        const { stdout } = yield* plan(world.environment, "--sql")
        assert.include(stdout, `CREATE SCHEMA "${world.database.schema}"`)
        assert.include(stdout, "COMMENT ON COLUMN")
        for (const table of Object.keys(allTables)) {
          assert.include(
            result.stdout,
            `${table}: CREATE\n  CREATE TABLE "${world.database.schema}"."${table}" ("_block_num" bigint NOT NULL`
          )
        }
        assert.deepStrictEqual((yield* inventory(world))[1], [])
        assert.notInclude(result.stdout, "CONCURRENTLY")
        assert.match(result.stdout, /"logs" \(.*\) PARTITION BY RANGE \("_block_num"\)$/m)
        assert.include(result.stdout, `ON ONLY "${world.database.schema}"."logs" ("address")`)
        yield* world.database.query(`CREATE SCHEMA ${world.database.schema}`)
      }),
    60_000
  )

  it.live(
    "exits 0 when there is nothing to do, also while another process syncs, and names a table that will be filled again",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
        const process = yield* synced(world)
        const before = yield* Effect.all([inventory(world), checkpoints(world)])
        const result = yield* plan(world.environment)
        assert.strictEqual(result.code, 0, result.stdout + result.stderr)
        for (const table of Object.keys(allTables)) assert.include(result.stdout, `${table}: nothing to do`)
        assert.deepStrictEqual(yield* Effect.all([inventory(world), checkpoints(world)]), before)
        assert.notInclude(process.output(), "Standing by")
        yield* process.kill("SIGTERM")
        yield* process.exited
        const resync = yield* startAmpsync(world.environment, ["resync", "--table", "logs", "--yes"])
        assert.strictEqual((yield* resync.exited).code, 0)
        const emptied = yield* plan(world.environment)
        assert.strictEqual(emptied.code, 0, emptied.stderr)
        assert.include(emptied.stdout, "logs: it is filled from the first block")
        assert.include(emptied.stdout, "blocks: nothing to do")
      }),
    60_000
  )

  it.live(
    "exits 3 for new columns, comments and indexes, and prints the statements that would run",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({
          dialect: "amp",
          blocks: 5,
          queries: { logs: "SELECT block_num, tx_hash FROM anvil.logs", blocks: "SELECT * FROM anvil.blocks" }
        })
        const process = yield* startAmpsync(world.environment)
        yield* process.prints("Table 'logs'")
        yield* process.prints("Table 'blocks'")
        yield* process.kill("SIGTERM")
        yield* process.exited
        const before = yield* inventory(world)
        yield* configure(
          world,
          { logs: "SELECT block_num, tx_hash, address FROM anvil.logs", blocks: "SELECT * FROM anvil.blocks" },
          { logs: { comment: "all logs" }, blocks: { indexes: [["hash"]] } }
        )
        const result = yield* plan(world.environment)
        assert.strictEqual(result.code, 3, result.stderr)
        const { schema } = world.database
        assert.match(
          result.stdout,
          new RegExp(`^logs: ALTER.*\\n  ALTER TABLE "${schema}"."logs" ADD COLUMN "address" bytea`, "m")
        )
        assert.include(result.stdout, `\n  COMMENT ON TABLE "${schema}"."logs" IS E'all logs'\n`)
        assert.match(
          result.stdout,
          /blocks: .*\n {2}-- once it has caught up:\n {2}CREATE INDEX CONCURRENTLY "blocks_hash_idx_/
        )
        assert.deepStrictEqual(yield* inventory(world), before)
        const queries = { logs: "SELECT block_num, tx_hash FROM anvil.logs", blocks: "SELECT * FROM anvil.blocks" }
        yield* configure(world, queries, { blocks: { indexes: [["hash"]] } })
        assert.strictEqual((yield* plan(world.environment)).code, 3, "an index alone is a change as well")
        yield* configure(world, queries)
        assert.strictEqual((yield* plan(world.environment)).code, 0)
      }),
    60_000
  )

  it.live(
    "exits 4 when a table is rejected, prints the reason, and reports the others as well; as JSON for machines",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
        yield* world.database.query("CREATE TABLE strange (i integer)")
        yield* configure(world, {
          ...allTables,
          strange: "SELECT * FROM anvil.logs",
          wrong: "SELECT no_such_column FROM anvil.logs"
        }, { transactions: { primaryKey: ["to"] } })
        const result = yield* plan(world.environment, "--json")
        assert.strictEqual(result.code, 4, result.stderr)
        assert.deepStrictEqual(kindsOf(result), {
          blocks: "create",
          transactions: "reject",
          logs: "create",
          strange: "reject",
          wrong: "reject"
        })
        const found = JSON.parse(result.stdout)
        assert.deepInclude(found, { dataset: "_/example", schema: world.database.schema, outcome: "rejected" })
        assert.include(found.tables[1].reason, "primaryKey names column \"to\", which may be null")
        assert.include(found.tables[3].reason, "ampsync did not create")
        assert.isString(found.tables[4].reason)
        assert.include((yield* plan(world.environment)).stdout, "strange: rejected: a relation of this name exists")
      }),
    60_000
  )

  it.live(
    "prints nothing but the document with --json, whatever a config prints; that goes to standard error, up to a limit",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
        const path = join(yield* temporaryDirectory, "config.mjs")
        const withCode = (code: string) =>
          Effect.andThen(
            Effect.promise(() =>
              writeFile(path, `${code}\nexport default ${JSON.stringify(manifestOf("amp", allTables))}`)
            ),
            plan({ ...world.environment, DATASET_MANIFEST: path }, "--json")
          )
        const result = yield* withCode(
          "console.log('a note'); process.stdout.write('another'); console.error('a third')"
        )
        assert.strictEqual(result.code, 3, result.stderr)
        assert.deepInclude(JSON.parse(result.stdout), { outcome: "changes" })
        for (const note of ["a note", "another", "a third"]) assert.include(result.stderr, note)
        const loud = yield* withCode("for (let i = 0; i < 20_000; i += 1) console.log('0123456789'.repeat(10))")
        assert.strictEqual(loud.code, 3, loud.stderr.slice(-1000))
        assert.deepInclude(JSON.parse(loud.stdout), { outcome: "changes" })
        assert.include(loud.stderr, "The config file printed more than 64 KiB; the rest is left out.")
        assert.isBelow(loud.stderr.length, 70_000)
        // Killed in the middle of its output.
        const endless = yield* withCode("console.log('the last words'); for (;;);")
        assert.deepStrictEqual([endless.code, endless.stdout], [2, ""], endless.stderr)
        assert.include(endless.stderr, "did not finish within 10 seconds")
      }),
    90_000
  )

  it.live(
    "prints nothing but the document with --json, also where it has to wait for the database",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
        const target = Number(new URL(world.database.url).port)
        const reserved = yield* Effect.scoped(startProxy(target))
        const DATABASE_URL = throughProxy(world.database.url, reserved)
        const environment = { ...world.environment, DATABASE_URL, AMP_FLIGHT_ADRR: "hunter2" }
        const planning = yield* startAmpsync(environment, ["plan", "--json"])
        // In this order: a typo may be the cause of what follows it.
        yield* planning.prints(
          /AMP_FLIGHT_ADRR is ignored; did you mean AMP_FLIGHT_ADDR\?[^]*Database connection failed: /
        )
        yield* startProxy(target, reserved.port)
        yield* planning.exited
        assert.notInclude(planning.output(), "hunter2")
        assert.deepInclude(JSON.parse(planning.stdout()), { outcome: "changes" })
      }),
    60_000
  )

  it.live(
    "exits 1 where no plan can be made, and 2 where the config is wrong, and prints no plan",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
        const down = yield* plan({ ...world.environment, AMP_FLIGHT_ADDR: "http://127.0.0.1:9" })
        assert.deepStrictEqual([down.code, down.stdout], [1, ""])
        assert.include(down.stderr, "GetFlightInfo failed with UNAVAILABLE")
        yield* configure(world, allTables, { logs: { columns: { data: { type: "hex" } } } })
        const wrong = yield* plan(world.environment, "--json")
        assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
        assert.include(wrong.stderr, "tables.logs.columns.data.type: expected bigint, text")
        const dependencies = { anvil: "_/anvil@9.9.9" }
        const missing = JSON.stringify({ ...manifestOf("amp", allTables) as object, dependencies })
        yield* Effect.promise(() => writeFile(world.manifestPath, missing))
        const absent = yield* plan(world.environment)
        assert.deepStrictEqual([absent.code, absent.stdout], [2, ""])
        assert.include(
          absent.stderr,
          "dependency \"anvil\" is \"_/anvil@9.9.9\": \"anvil\" has no version \"9.9.9\"; available: 0.1.0"
        )
      }),
    60_000
  )
})
