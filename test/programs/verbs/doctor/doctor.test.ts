import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { Check } from "../../../../src/domain/health/Finding.ts"
import { serveHttp2 } from "../../../layers/flight-client/http2Server.ts"
import { startAmpsync } from "../../../support/ampsyncProcess.ts"
import { type Ended, runAmpsync } from "../../../support/runAmpsync.ts"
import { writerEpochs } from "../../../support/runningSync.ts"
import { awaitCanonicalChain } from "../../../support/snapshots.ts"
import { temporaryDirectory } from "../../../support/temporaryDirectory.ts"
import { makeWorld, type World } from "../../../support/world.ts"

const doctor = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
  runAmpsync(environment, "doctor", "--timeout", "60s", ...args)

/** The checks of a document, by id. */
const checksOf = ({ stdout }: Ended): ReadonlyMap<string, Check> =>
  new Map((JSON.parse(stdout) as { checks: ReadonlyArray<Check> }).checks.map((check) => [check.id, check]))

const assertCheck = (
  checks: ReadonlyMap<string, Check>,
  id: string,
  outcome: Check["outcome"],
  words: RegExp = /(?:)/
) => {
  const check = checks.get(id)
  assert.strictEqual(check?.outcome, outcome, `${id}: ${JSON.stringify(check)}`)
  assert.match(`${check?.detail} -> ${check?.advice}`, words)
}

const ofDatabase = [
  "database",
  "version",
  "encoding",
  "pooler",
  "tls",
  "writable",
  "connections",
  "timeouts",
  "durability",
  "clock",
  "disk",
  "bookkeeping",
  "notify",
  "replication",
  "writers"
]

/** A server of web pages that has no page. */
const webServer = Effect.map(
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((_, response) => response.writeHead(404).end())
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
)

const everything = ({ database: { query, schema } }: World) =>
  Effect.all([
    query("SELECT relname, relfilenode FROM pg_class WHERE relnamespace = to_regnamespace($1) ORDER BY 1", [schema]),
    query("SELECT nspname FROM pg_namespace WHERE nspname = $1", [schema])
  ])

describe.concurrent("ampsync doctor", () => {
  it.live("finds before a first start that it may go ahead, leaves nothing behind, and disturbs no sync that runs", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, token: "hunter2" })
      const { database } = world
      const environment = { ...world.environment, AMP_AUTH_TOKEN: "hunter2" }
      yield* database.query(`DROP SCHEMA ${database.schema}`)
      const first = yield* doctor(environment, "--json")
      assert.strictEqual(first.code, 0, first.stdout + first.stderr)
      const checks = checksOf(first)
      assert.deepStrictEqual([...checks.keys()], [
        "settings",
        "config",
        "admin-api",
        "flight",
        "dataset",
        "head",
        ...ofDatabase,
        ...["blocks", "transactions", "logs"].flatMap((
          table
        ) => [`query:${table}`, `table:${table}`, `rights:${table}`])
      ])
      const unwell = [...checks.values()].filter(({ outcome }) => outcome !== "ok").map(({ id, outcome }) =>
        `${id} ${outcome}`
      )
      // The server of the tests does not flush to disk.
      assert.deepStrictEqual(unwell, ["durability warning", "disk skipped"])
      assertCheck(checks, "admin-api", "ok", /dialect amp; dataset _\/example 0\.1\.0/)
      assertCheck(checks, "head", "ok", /network "anvil" is at block 19, \d+ d/)
      assertCheck(checks, "table:blocks", "ok", /is created by a start/)
      assert.deepStrictEqual(yield* everything(world), [[], []])

      yield* database.query(`CREATE SCHEMA ${database.schema}`)
      const sync = yield* startAmpsync(environment)
      yield* awaitCanonicalChain(world)
      const before = yield* Effect.all([everything(world), writerEpochs(world)])
      const printed = yield* doctor(environment)
      assert.strictEqual(printed.code, 0, printed.stdout + printed.stderr)
      assert.match(printed.stdout, /^ok +Table blocks: fits its query$/m)
      assert.match(
        printed.stdout,
        /^warning +Other processes: .* writes blocks, logs, transactions: a start stands by for these tables\n +-> stop that process/m
      )
      assert.match(printed.stdout, /^A start may go ahead: \d+ ok, 2 warnings, 0 problems, 1 skipped$/m)
      for (const text of ["\u001b", "hunter2"]) assert.notInclude(printed.stdout, text)
      assert.deepStrictEqual(yield* Effect.all([everything(world), writerEpochs(world)]), before)
      assert.notMatch(sync.output(), /Retrying|ERROR/)
    }))

  it.live("has a problem with advice for each server that does not answer or refuses the login, and no secret", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "nozzle", blocks: 5, token: "right" })
      const secrets = {
        AMP_AUTH_TOKEN: "hunter3",
        DATABASE_URL: world.database.url.replace(/:\/\/([^:]+):[^@]+@/, "://$1:hunter4@")
      }
      const gateway = yield* serveHttp2({
        GetFlightInfo: (stream) => {
          stream.respond({ ":status": 404 })
          stream.end()
        }
      })
      const notFound = yield* webServer
      const behindGateway = { ...world.environment, AMP_AUTH_TOKEN: "right", AMP_FLIGHT_ADDR: gateway }
      const unpublished = join(yield* temporaryDirectory, "config.json")
      yield* Effect.promise(() =>
        writeFile(
          unpublished,
          JSON.stringify({
            name: "mine",
            version: "0.1.0",
            dependencies: { anvil: { owner: "_", name: "anvil", version: "0.1.0" } },
            tables: { blocks: { sql: "SELECT * FROM anvil.blocks" } }
          })
        )
      )
      const [refused, away, unset, absent, nameless, planned] = yield* Effect.all([
        doctor({ ...world.environment, ...secrets }, "--json"),
        doctor({
          ...world.environment,
          ...secrets,
          DATABASE_URL: "postgresql://u:hunter4@127.0.0.1:1/d",
          AMP_FLIGHT_ADDR: "http://127.0.0.1:9",
          AMP_ADMIN_API_ADDR: "http://127.0.0.1:9"
        }, "--json"),
        doctor({ ...world.environment, AMP_FLIGHT_ADDR: "ftp://x", AMP_FLIGHT_ADRR: "x" }, "--json"),
        doctor({
          ...behindGateway,
          CONFIRMATION: "3",
          AMP_ADMIN_API_ADDR: notFound
        }, "--json"),
        doctor({ ...world.environment, AMP_AUTH_TOKEN: "right", DATASET_MANIFEST: unpublished }, "--json"),
        runAmpsync(behindGateway, "plan", "--timeout", "10s")
      ], { concurrency: 2 })
      assert.deepStrictEqual([refused, away, unset, absent, planned].map(({ code }) => code), [1, 1, 1, 1, 1])
      for (const { stderr, stdout } of [refused, away, unset]) assert.notMatch(stdout + stderr, /hunter/)
      const [ofRefused, ofAway, ofUnset] = [checksOf(refused), checksOf(away), checksOf(unset)]
      assertCheck(ofRefused, "flight", "problem", /UNAUTHENTICATED.*AMP_AUTH_TOKEN/)
      assertCheck(ofRefused, "admin-api", "problem", /AMP_AUTH_TOKEN/)
      assertCheck(ofRefused, "database", "problem", /password authentication failed.* -> check DATABASE_URL$/)
      assertCheck(ofRefused, "version", "skipped", /^needs "Database" -> null$/)
      assertCheck(ofAway, "flight", "problem", /ECONNREFUSED.*AMP_FLIGHT_ADDR/)
      assertCheck(ofAway, "admin-api", "warning", /ECONNREFUSED.*goes on without it/)
      assertCheck(ofAway, "database", "problem", /ECONNREFUSED.*DATABASE_URL/)
      assertCheck(ofAway, "tables", "skipped", /needs "Datasets of the queries"/)
      assertCheck(
        checksOf(absent),
        "flight",
        "problem",
        /HTTP status code 404.*no Arrow Flight server.*AMP_FLIGHT_ADDR/
      )
      assertCheck(checksOf(absent), "tables", "skipped", /needs "Datasets of the queries"/)
      assertCheck(checksOf(nameless), "head", "ok", /network "anvil" is at block 4/)
      assertCheck(checksOf(absent), "settings", "warning", /CONFIRMATION is ignored; did you mean CONFIRMATIONS/)
      assertCheck(checksOf(absent), "admin-api", "problem", /AMP_ADMIN_API_ADDR/)
      assertCheck(checksOf(absent), "dataset", "skipped", /needs "Admin API" and "Arrow Flight"/)
      assert.match(planned.stderr, /no Arrow Flight server answers there: check AMP_FLIGHT_ADDR/)
      // The settings of the database can be used, so it is checked.
      assertCheck(ofUnset, "settings", "problem", /AMP_FLIGHT_ADDR is "ftp:\/\/x".*AMP_FLIGHT_ADRR is no setting/)
      assertCheck(ofUnset, "config", "skipped", /needs "Settings"/)
      assertCheck(ofUnset, "bookkeeping", "ok", /may create/)
    }))

  it.live("finds what keeps a role from writing tables that exist, all at once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
      const { query, schema, url } = world.database
      yield* Effect.scoped(Effect.gen(function*() {
        const owner = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)
        yield* owner.kill("SIGTERM")
        yield* owner.exited
      }))
      const role = `role_${schema}`
      yield* Effect.acquireRelease(
        query(`CREATE ROLE ${role} LOGIN PASSWORD 'test' CONNECTION LIMIT 6`),
        () => Effect.andThen(query(`DROP OWNED BY ${role}`), query(`DROP ROLE ${role}`))
      )
      yield* Effect.addFinalizer(() => query(`DROP PUBLICATION ${role}`))
      yield* query(
        `ALTER ROLE ${role} SET idle_in_transaction_session_timeout TO '5s'; GRANT USAGE ON SCHEMA ${schema} TO ${role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role}; REVOKE INSERT ON blocks FROM ${role};
         ALTER TABLE transactions SET UNLOGGED; ALTER TABLE blocks REPLICA IDENTITY NOTHING;
         CREATE PUBLICATION ${role} FOR TABLE blocks, logs;
         CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER keeper BEFORE DELETE ON logs FOR EACH ROW EXECUTE FUNCTION ${schema}.keep()`
      )
      yield* Effect.promise(() =>
        writeFile(
          world.manifestPath,
          JSON.stringify({
            name: "example",
            network: "anvil",
            version: "0.1.0",
            dependencies: { anvil: "_/anvil@0.1.0" },
            tables: {
              blocks: { sql: "SELECT * FROM anvil.blocks" },
              transactions: { sql: "SELECT * FROM anvil.transactions" },
              logs: { sql: "SELECT * FROM anvil.logs", indexes: [["address"]] },
              sorted: { sql: "SELECT no_such_column FROM anvil.logs" }
            }
          })
        )
      )
      const login = new URL(url)
      login.username = role
      login.password = "test"
      const result = yield* doctor({ ...world.environment, DATABASE_URL: login.href }, "--json")
      assert.strictEqual(result.code, 1, result.stderr)
      const checks = checksOf(result)
      assertCheck(checks, "connections", "problem", /limit of role "role_\w+" leaves 6/)
      assertCheck(checks, "timeouts", "warning", /idle_in_transaction_session_timeout is 5 s/)
      assertCheck(checks, "bookkeeping", "ok", /up to date/)
      assertCheck(checks, "replication", "problem", /table "blocks" in publication.*55000.*REPLICA IDENTITY FULL/)
      assertCheck(checks, "writers", "ok", /none writes these tables/)
      assertCheck(checks, "table:blocks", "ok")
      assertCheck(
        checks,
        "rights:blocks",
        "problem",
        /cannot copy rows into it: permission denied for table blocks.*main\.js grants/
      )
      assertCheck(checks, "table:transactions", "problem", /UNLOGGED/)
      assertCheck(checks, "rights:transactions", "skipped", /needs "Table transactions"/)
      assertCheck(checks, "table:logs", "warning", /trigger "keeper" may keep rows from being deleted/)
      assertCheck(checks, "rights:logs", "problem", /must be owner of table/)
      assertCheck(checks, "query:sorted", "problem", /no_such_column/)
      assertCheck(checks, "table:sorted", "skipped", /needs "Query of sorted"/)
    }))
})
