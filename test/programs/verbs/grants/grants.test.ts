/** The script of `grants`, run as it is printed: what it allows is enough, and each of its grants is needed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { writeFile } from "node:fs/promises"
import pg from "pg"
import { grantsScript } from "../../../../src/domain/sql/grants.ts"
import { pageOf } from "../../../docs/pages.ts"
import { startAmpsync } from "../../../support/ampsyncProcess.ts"
import { type TestDatabase, testDatabase } from "../../../support/postgres.ts"
import { runAmpsync } from "../../../support/runAmpsync.ts"
import { awaitCanonicalChain } from "../../../support/snapshots.ts"
import { makeWorld, manifestOf, type Queries, type World } from "../../../support/world.ts"

const PASSWORD = "hunter2"

/** Drops roles, with what they own and were granted, when the scope closes. */
const dropping = ({ query }: TestDatabase, roles: ReadonlyArray<string>) =>
  Effect.addFinalizer(() =>
    Effect.forEach(roles, (role) =>
      Effect.ignore(Effect.sandbox(
        Effect.andThen(query(`DROP OWNED BY ${quoted(role)} CASCADE`), query(`DROP ROLE ${quoted(role)}`))
      )))
  )

const quoted = (name: string) => `"${name.replaceAll("\"", "\"\"")}"`

const urlAs = ({ url }: TestDatabase, role: string) => {
  const login = new URL(url)
  login.username = role
  login.password = PASSWORD
  return login.href
}

/** A world whose database is used by roles of the script only. */
const worldWithRoles = Effect.fnUntraced(function*() {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: first })
  const { database } = world
  const [writer, reader, owner] = ["writer", "reader", "owner"].map((name) => `${name}_${database.schema}`) as [
    string,
    string,
    string
  ]
  yield* dropping(database, [writer, reader, owner])
  const environment = { ...world.environment, DATABASE_URL: urlAs(database, writer) }
  return { world, environment, writer, reader, owner }
})

/** The same, with a table that another role owns, and that it has filled. */
const worldOfAnotherOwner = Effect.fnUntraced(function*() {
  const prepared = yield* worldWithRoles()
  const { environment, owner, world } = prepared
  const { query, schema } = world.database
  yield* query(`CREATE ROLE ${owner} LOGIN PASSWORD '${PASSWORD}'; GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${owner}`)
  yield* configure(world, first)
  yield* Effect.scoped(Effect.gen(function*() {
    const before = yield* startAmpsync({ ...environment, DATABASE_URL: urlAs(world.database, owner) })
    yield* awaitCanonicalChain(world, ["blocks"])
    yield* before.kill("SIGTERM")
    yield* before.exited
  }))
  return prepared
})

/** Runs the script, and gives its roles a password. */
const runScript = Effect.fnUntraced(function*({ database: { query, schema } }: World, script: string) {
  yield* query(script)
  for (const role of ["writer", "reader"]) yield* query(`ALTER ROLE ${role}_${schema} PASSWORD '${PASSWORD}'`)
})

/** What `grants` prints. */
const printed = Effect.fnUntraced(function*(
  environment: Readonly<Record<string, string>>,
  ...args: ReadonlyArray<string>
) {
  const { code, stderr, stdout } = yield* runAmpsync(environment, "grants", ...args)
  assert.strictEqual(code, 0, stderr)
  assert.notInclude(stdout, PASSWORD)
  return stdout
})

const first: Queries = { blocks: "SELECT _block_num, hash FROM anvil.blocks" }
const second: Queries = {
  blocks: "SELECT _block_num, hash, parent_hash FROM anvil.blocks",
  logs: "SELECT * FROM anvil.logs"
}

const configure = ({ manifestPath }: World, queries: Queries) =>
  Effect.promise(() => {
    const manifest = manifestOf("amp", queries) as { tables: Record<string, object> }
    const { blocks, ...others } = manifest.tables
    return writeFile(
      manifestPath,
      JSON.stringify({ ...manifest, tables: { blocks: { ...blocks, indexes: [["hash"]] }, ...others } })
    )
  })

/** A reorg, then a reload that adds a column, an index and a table, then a resync: all that needs rights. */
const live: (
  world: World,
  environment: Readonly<Record<string, string>>
) => Effect.Effect<void, never, Scope.Scope> = Effect.fnUntraced(function*(world, environment) {
  const sync = yield* startAmpsync(environment)
  yield* awaitCanonicalChain(world, ["blocks"])
  world.simulator.reorg(3, 4)
  yield* awaitCanonicalChain(world, ["blocks"])
  yield* configure(world, second)
  yield* sync.prints("Tables: ")
  yield* awaitCanonicalChain(world, ["blocks", "logs"])
  yield* sync.prints(/Table 'blocks' has index blocks_hash_idx_\w+/)
  assert.notMatch(sync.output(), / ERROR |could not be built|permission denied/)
  yield* sync.kill("SIGTERM")
  yield* sync.exited
  const resynced = yield* runAmpsync(environment, "resync", "--table", "logs", "--yes")
  assert.strictEqual(resynced.code, 0, resynced.stderr)
})

/** Runs statements as a role; returns the SQLSTATE of each, or undefined where it succeeds. */
const outcomes = (url: string, schema: string, statements: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const client = new pg.Client({ connectionString: url, options: `-csearch_path=${schema}` })
    await client.connect()
    try {
      const found: Array<string | undefined> = []
      for (const statement of statements) {
        found.push(await client.query(statement).then(() => undefined, ({ code }: { code: string }) => code))
      }
      return found
    } finally {
      await client.end()
    }
  })

const DENIED = "42501"

const assertReadsOnly = Effect.fnUntraced(function*(
  { database: { query, schema } }: World,
  url: string,
  reader: string
) {
  const relations = yield* query<{ name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'v')",
    [schema]
  )
  const names = relations.map(({ name }) => name)
  assert.includeMembers(names, ["blocks", "logs", "_ampsync_progress", "_ampsync_latest", "_ampsync_checkpoints"])
  const reads = yield* outcomes(url, schema, names.map((name) => `SELECT count(*) FROM ${name}`))
  assert.deepStrictEqual(reads, names.map(() => undefined), "reads everything")
  const writes = [
    "DELETE FROM blocks",
    "TRUNCATE blocks",
    "INSERT INTO logs DEFAULT VALUES",
    "UPDATE _ampsync_checkpoints SET max_block_num = 0",
    "DELETE FROM _ampsync_writers",
    "ALTER TABLE blocks ADD mine integer",
    "CREATE INDEX ON blocks (hash)",
    "CREATE TABLE mine (i integer)",
    "SELECT rolpassword FROM pg_authid"
  ]
  const found = yield* outcomes(url, schema, writes)
  assert.deepStrictEqual(found, writes.map(() => DENIED), "writes nothing")
  const [row] = yield* query<{ contents: string }>(
    `SELECT concat(${
      names.filter((name) => name.startsWith("_ampsync")).map((name) =>
        `(SELECT jsonb_agg(to_jsonb(t))::text FROM ${name} t)`
      ).join(", ")
    }) AS contents`
  )
  assert.include(row?.contents, "blocks")
  assert.notInclude(row?.contents, PASSWORD)
  const status = yield* runAmpsync({ DATABASE_URL: url, DATABASE_SCHEMA: schema }, "status", "--json")
  assert.strictEqual(status.code, 3, `${reader}: ${status.stderr}`)
})

describe("ampsync grants", () => {
  it.live("allows a role all that a sync does with tables that it makes, and another one to read them and nothing more", () =>
    Effect.gen(function*() {
      const { environment, reader, world, writer } = yield* worldWithRoles()
      const { database } = world
      const script = yield* printed(environment, "--reader", reader)
      yield* runScript(world, script)
      yield* runScript(world, script)
      yield* configure(world, first)
      yield* live(world, environment)
      const owners = yield* database.query("SELECT DISTINCT tableowner AS owner FROM pg_tables WHERE schemaname = $1", [
        database.schema
      ])
      assert.deepStrictEqual(owners, [{ owner: writer }])
      yield* assertReadsOnly(world, urlAs(database, reader), reader)
    }))

  it.live("allows a role to write the rows of tables that another role owns, and no more", () =>
    Effect.gen(function*() {
      const { environment, reader, world } = yield* worldOfAnotherOwner()
      yield* runScript(world, yield* printed(environment, "--reader", reader))
      const sync = yield* startAmpsync(environment)
      world.simulator.mine(2)
      world.simulator.reorg(3, 4)
      yield* awaitCanonicalChain(world, ["blocks"])
      yield* configure(world, second)
      yield* sync.prints(/must be owner of table blocks/)
    }))

  it.live("allows a member of the role that owns the tables all that a sync does with them", () =>
    Effect.gen(function*() {
      const { environment, owner, reader, world } = yield* worldOfAnotherOwner()
      yield* runScript(world, yield* printed(environment, "--reader", reader, "--owner", owner))
      yield* live(world, environment)
      yield* assertReadsOnly(world, urlAs(world.database, reader), reader)
    }))

  it.live("has no grant too many: without any one of them a start or a reader fails", () =>
    Effect.gen(function*() {
      const { environment, reader, world, writer } = yield* worldWithRoles()
      const { database } = world
      const script = yield* printed(environment, "--reader", reader)
      yield* runScript(world, script)
      const start = outcomes(urlAs(database, writer), database.schema, [
        "CREATE TABLE made (i integer)",
        "DROP TABLE made"
      ])
      const read = Effect.gen(function*() {
        yield* outcomes(urlAs(database, writer), database.schema, ["CREATE TABLE made (i integer)"])
        const found = yield* outcomes(urlAs(database, reader), database.schema, [`SELECT FROM ${database.schema}.made`])
        yield* database.query("DROP TABLE IF EXISTS made")
        return found
      })
      assert.deepStrictEqual([yield* start, yield* read], [[undefined, undefined], [undefined]])
      const needed: ReadonlyArray<readonly [revoke: string, whole: Effect.Effect<ReadonlyArray<string | undefined>>]> =
        [
          [`REVOKE CREATE ON SCHEMA ${database.schema} FROM ${writer}`, start],
          [`REVOKE USAGE ON SCHEMA ${database.schema} FROM ${reader}`, read],
          [
            `ALTER DEFAULT PRIVILEGES FOR ROLE ${writer} IN SCHEMA ${database.schema} REVOKE SELECT ON TABLES FROM ${reader}`,
            read
          ]
        ]
      for (const [revoke, whole] of needed) {
        yield* database.query(revoke)
        assert.include(yield* whole, DENIED, revoke)
        yield* database.query(script)
        assert.notInclude(yield* whole, DENIED, `${revoke}, then the script again`)
      }
    }))

  it.live("lets both roles connect to a database that not everybody may connect to", () =>
    Effect.gen(function*() {
      const { environment, reader, world, writer } = yield* worldWithRoles()
      const { database } = world
      const name = `database_${database.schema}`
      yield* database.query(`CREATE DATABASE ${name}`)
      yield* Effect.addFinalizer(() => database.query(`DROP DATABASE ${name} WITH (FORCE)`))
      yield* database.query(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`)
      const there = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href
      const script = yield* printed(
        { ...environment, DATABASE_URL: there(environment.DATABASE_URL) },
        "--reader",
        reader
      )
      assert.deepStrictEqual(yield* outcomes(there(database.url), "public", [script, script]), [undefined, undefined])
      yield* database.query(
        `ALTER ROLE ${writer} PASSWORD '${PASSWORD}'; ALTER ROLE ${reader} PASSWORD '${PASSWORD}'`
      )
      for (const role of [writer, reader]) {
        assert.deepStrictEqual(yield* outcomes(there(urlAs(database, role)), "public", ["SELECT"]), [undefined])
      }
    }))

  it.live("means the names that it is given, whatever they contain", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const strange = `${database.schema} "q" %I 'l' \\ $$ $grants1$ -- ;`
      const [writer, reader, owner] = ["w", "r", "o"].map((prefix) => `${prefix} ${strange}`) as [
        string,
        string,
        string
      ]
      yield* dropping(database, [writer, reader, owner])
      yield* Effect.addFinalizer(() => database.query(`DROP SCHEMA ${quoted(strange)} CASCADE`))
      const table = "a 'b' \"c\" %s \\"
      yield* database.query(
        `CREATE ROLE ${quoted(owner)}; CREATE SCHEMA ${quoted(strange)};
         CREATE TABLE ${quoted(strange)}.${quoted(table)} (i integer); CREATE TABLE ${
          quoted(strange)
        }.other (i integer)`
      )
      const script = grantsScript({
        database: "a\nb; DROP TABLE kept",
        schema: strange,
        tables: [table],
        writer,
        reader,
        owner
      })
      yield* database.query(script)
      yield* database.query(script)
      const found = yield* database.query<{ grantee: string; relation: string; rights: string }>(
        `SELECT grantee::regrole::text, relname AS relation, string_agg(privilege_type, ' ' ORDER BY privilege_type) AS rights
         FROM pg_class, aclexplode(relacl) WHERE relnamespace = $1::regnamespace AND grantee <> relowner
         GROUP BY 1, 2 ORDER BY 1`,
        [quoted(strange)]
      )
      assert.deepStrictEqual(found, [
        { grantee: quoted(reader), relation: table, rights: "SELECT" },
        { grantee: quoted(writer), relation: table, rights: "DELETE INSERT SELECT UPDATE" }
      ])
    }))

  it.live("prints what the documentation has, and rejects a name that PostgreSQL reserves", () =>
    Effect.gen(function*() {
      const environment = {
        DATABASE_URL: "postgresql://chain_sync@localhost/chain",
        DATABASE_SCHEMA: "chain",
        DATASET: "example",
        TABLES: "blocks,logs"
      }
      const script = yield* printed(environment, "--reader", "chain_reader")
      const { examples } = pageOf("docs/database.md")
      assert.include(examples.map(({ text }) => `${text}\n`), script)
      const reserved = yield* runAmpsync(environment, "grants", "--reader", "public")
      assert.deepStrictEqual([reserved.code, reserved.stdout.includes("GRANT ")], [2, false])
    }))
})
