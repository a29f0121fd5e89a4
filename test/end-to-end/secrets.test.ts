/** Invariant I7 in the real program: no way to give a secret, and no fault, brings a secret or a value of a row into any output. */
import { assert, describe, it } from "@effect/vitest"
import { status } from "@grpc/grpc-js"
import { Effect, type Scope } from "effect"
import { chmod, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { logFormats } from "../../src/domain/settings/logFormat.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { addressOf, ask } from "../support/health.ts"
import { startProxy } from "../support/proxy.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { encodingsOf, leaks } from "../support/secrets.ts"
import { awaitWatermark } from "../support/snapshots.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld, manifestOf, type World } from "../support/world.ts"

/** Each character of it is written differently by some encoding; its words appear nowhere else. */
const PASSWORD = "Zebra@Quokka w+Numbat/?#%41:\"é\\Walrus&<Ibex>"
const PASSWORD_WORDS = ["Zebra", "Quokka", "Numbat", "Walrus", "Ibex"]
const TOKEN = "Marmot+Okapi/s3cr%41t=\"\\Tapir"
const TOKEN_WORDS = ["Marmot", "Okapi", "Tapir"]

type Environment = Readonly<Record<string, string>>

/** Where the database is, and as whom. */
interface Target {
  readonly host: string
  readonly port: string
  readonly database: string
  readonly role: string
}

const file = Effect.fnUntraced(function*(content: string) {
  const path = join(yield* temporaryDirectory, "secret")
  yield* Effect.promise(async () => {
    await writeFile(path, `${content}\n`)
    await chmod(path, 0o600)
  })
  return path
})

const urlOf = ({ database, host, port, role }: Target, password: string) =>
  `postgresql://${role}:${encodeURIComponent(password)}@${host}:${port}/${database}`

const partsOf = ({ database, host, port, role }: Target) => ({
  DATABASE_HOST: host,
  DATABASE_PORT: port,
  DATABASE_NAME: database,
  DATABASE_USER: role
})

type Way = (target: Target, password: string) => Effect.Effect<Environment, never, Scope.Scope>

/** Every way to give a password. */
const ways: Readonly<Record<string, Way>> = {
  "user information": (target, password) => Effect.succeed({ DATABASE_URL: urlOf(target, password) }),
  "a query parameter": ({ database, host, port, role }, password) =>
    Effect.succeed({
      DATABASE_URL: `postgresql://${role}@${host}:${port}/${database}?password=${encodeURIComponent(password)}`
    }),
  DATABASE_PASSWORD: (target, password) => Effect.succeed({ ...partsOf(target), DATABASE_PASSWORD: password }),
  PGPASSWORD: (target, password) => Effect.succeed({ ...partsOf(target), PGPASSWORD: password }),
  DATABASE_URL_FILE: (target, password) =>
    Effect.map(file(urlOf(target, password)), (path) => ({ DATABASE_URL_FILE: path })),
  DATABASE_PASSWORD_FILE: (target, password) =>
    Effect.map(file(password), (path) => ({ ...partsOf(target), DATABASE_PASSWORD_FILE: path })),
  PGPASSFILE: (target, password) =>
    Effect.map(
      file(`*:*:*:*:${password.replaceAll(/[\\:]/g, "\\$&")}`),
      (path) => ({ ...partsOf(target), PGPASSFILE: path })
    )
}

/** Every output that was read, with what it is. */
const outputs: Array<readonly [what: string, text: string]> = []

const start = (environment: Environment, args: ReadonlyArray<string> = []) =>
  startAmpsync({ RUST_LOG: "trace", ...environment }, args)

const keep = (what: string, text: string) => Effect.sync(() => void outputs.push([what, text]))

/** Runs until it has ended, or has printed what it is about, and keeps its output. */
const provoke = Effect.fnUntraced(
  function*(what: string, environment: Environment, found: RegExp, args: ReadonlyArray<string> = []) {
    const process = yield* start(environment, args)
    yield* process.prints(found)
    // A sync goes on, and what follows the line may be what leaks.
    yield* args.length > 0 ? process.exited : Effect.raceFirst(process.exited, Effect.sleep("300 millis"))
    yield* keep(what, process.output())
  },
  Effect.scoped
)

const without = (environment: Environment, ...names: ReadonlyArray<string>): Environment =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !names.includes(name)))

const targetOf = ({ database: { url } }: World, role: string): Target => {
  const { hostname, pathname, port } = new URL(url)
  return { host: hostname, port, database: pathname.slice(1), role }
}

const transactions = "SELECT * FROM anvil.transactions"

/** Tables whose rows are refused: by the encoder, by a key, and later by a trigger. */
const config = {
  ...manifestOf("amp", {}) as object,
  tables: {
    good: { sql: transactions },
    guarded: { sql: transactions },
    narrow: { sql: transactions, columns: { value: { type: "numeric(1,0)" } } },
    keyed: { sql: transactions, primaryKey: ["block_num"] }
  }
}

const makeRole = Effect.fnUntraced(function*({ database }: World) {
  const role = `role_${database.schema}`
  yield* Effect.acquireRelease(
    Effect.andThen(
      database.query(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`),
      database.query(`GRANT USAGE, CREATE ON SCHEMA ${database.schema} TO ${role}`)
    ),
    () => Effect.andThen(database.query(`DROP OWNED BY ${role} CASCADE`), database.query(`DROP ROLE ${role}`))
  )
  return role
})

const BOOKKEEPING = [
  "_ampsync_states",
  "_ampsync_progress",
  "_ampsync_writers",
  "_ampsync_checkpoints",
  "_ampsync_reorgs"
]

/** Keeps what a running process shows elsewhere than in its log. */
const keepShown = Effect.fnUntraced(
  function*(what: string, { database }: World, role: string, process: AmpsyncProcess) {
    const address = yield* addressOf(process)
    for (const path of ["/status", "/metrics", "/", "/readyz", "/healthz", "/openapi.json"]) {
      yield* keep(`${what}: ${path}`, (yield* ask(address, path)).text)
    }
    for (const table of BOOKKEEPING) {
      yield* keep(
        `${what}: ${table}`,
        JSON.stringify(yield* database.query(`SELECT to_jsonb(t)::text AS row FROM ${table} t`))
      )
    }
    const sessions = yield* database.query("SELECT application_name FROM pg_stat_activity WHERE usename = $1", [role])
    assert.isNotEmpty(sessions)
    yield* keep(`${what}: sessions`, JSON.stringify(sessions))
  }
)

/** What a server may make of a header that it repeats. */
const ECHOED = /^(?:percent|of a form|json|hex$|base64(?:url)? at 0)/

/** A sync that works and then meets every fault; returns values of rows that it wrote. */
const life = Effect.fnUntraced(function*(way: string, format: string, tokenInFile: boolean) {
  const what = `a sync with ${way} and ${format}`
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, token: TOKEN })
  const { database, simulator: { faults } } = world
  yield* replaceConfig(world, config)
  const role = yield* makeRole(world)
  const process = yield* start({
    ...without(world.environment, "DATABASE_URL"),
    ...yield* ways[way]!(targetOf(world, role), PASSWORD),
    ...(tokenInFile ? { AMP_AUTH_TOKEN_FILE: yield* file(TOKEN) } : { AMP_AUTH_TOKEN: TOKEN }),
    LOG_FORMAT: format,
    HEALTH_PORT: "0",
    HEALTH_HOST: "127.0.0.1"
  })
  for (const table of ["good", "guarded"]) yield* awaitWatermark(world, table, 19n)
  yield* process.prints(/Table 'keyed' is parked/)
  yield* process.prints(/Table 'narrow' is parked/)
  yield* database.query(
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''refused: %'', NEW; END'"
  )
  yield* database.query(
    `CREATE TRIGGER refuse BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION ${database.schema}.refuse()`
  )
  // Some blocks have no transactions.
  world.simulator.mine(10)
  yield* process.prints(/CRITICAL: Failed to insert rows into table 'guarded'/)

  // Of the rows that were refused as well: this table has them all.
  yield* awaitWatermark(world, "good", 29n)
  const rows = yield* database.query<{ hash: string; value: string }>(
    "SELECT encode(tx_hash, 'hex') AS hash, value FROM good WHERE length(value) > 9"
  )
  assert.isNotEmpty(rows)

  const echoed = [...encodingsOf(TOKEN)].filter(([name]) => ECHOED.test(name)).map(([, text]) => text).join(" and ")
  faults.failNext("any", status.INTERNAL, `refused: authorization: Bearer ${TOKEN}, that is ${echoed}, for a query`, 50)
  faults.cutAll()
  // Calls of which no failure is logged, as for the head of the source, are answered so as well.
  yield* process.prints(/refused: authorization: Bearer <redacted>, that is /)
  faults.clear()
  yield* replaceConfig(world, "{ \"name\": ")
  yield* process.prints(/Failed to reload manifest/)
  yield* replaceConfig(world, { ...config, tables: { ...config.tables, more: { sql: "SELECT * FROM anvil.blcoks" } } })
  yield* process.prints(/blcoks/)
  faults.token = "another"
  faults.cutAll()
  yield* process.prints(/UNAUTHENTICATED/)
  yield* keepShown(what, world, role, process)
  yield* process.kill("SIGTERM")
  assert.strictEqual((yield* process.exited).code, 0)
  yield* keep(what, process.output())
  if (format === "json") {
    for (const line of process.output().trim().split("\n")) assert.isObject(JSON.parse(line), line)
  }
  return rows.flatMap(({ hash, value }) => [hash, value])
}, Effect.scoped)

describe("secrets and values of rows", () => {
  it.live("I7 are in no output, however they are given and whatever fails", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5, token: TOKEN })
      const target = targetOf(world, yield* makeRole(world))
      const down = { ...target, port: String(yield* Effect.scoped(Effect.map(startProxy(1), ({ port }) => port))) }
      const base = { ...without(world.environment, "DATABASE_URL"), AMP_AUTH_TOKEN: TOKEN }
      const wrong = `${PASSWORD}-Gnu`

      const provocations = Object.entries(ways).flatMap(([name, way], index) => {
        const format = { LOG_FORMAT: logFormats[index % logFormats.length]! }
        const run = (
          what: string,
          at: Target,
          password: string,
          found: RegExp,
          more: Environment = {},
          ...args: Array<string>
        ) =>
          Effect.scoped(Effect.flatMap(way(at, password), (given) =>
            provoke(`${what} with ${name}`, { ...base, ...format, ...given, ...more }, found, args)))
        const others = [
          run("a database that is down", down, PASSWORD, /Database connection failed/),
          run("no TLS", target, PASSWORD, /support SSL/, { PGSSLMODE: "require" }),
          run("resync", target, PASSWORD, /no checkpoint|does not exist/, {}, "resync", "--table", "no", "--yes"),
          run("status", down, PASSWORD, /ECONNREFUSED/, {}, "status"),
          run("doctor", target, wrong, /28P01/, {}, "doctor"),
          run("plan", down, PASSWORD, /no plan could be made/, {}, "plan", "--timeout", "2s")
        ]
        return [run("a wrong password", target, wrong, /28P01/), others[index % others.length]!]
      })
      const badSettings = [
        {
          DATABASE_URL: `postgresql://me:${PASSWORD}@${target.host}:${target.port}/db`,
          AMP_AUTH_TOKEN: `Bearer ${TOKEN}`
        },
        {
          DATABASE_URL: `postgresql://me:${encodeURIComponent(PASSWORD)}@h:port/db?sslmode=${
            encodeURIComponent(PASSWORD)
          }`
        },
        { DATABASE_URL: urlOf(target, PASSWORD), AMP_FLIGHT_ADDR: `http://me:${encodeURIComponent(TOKEN)}@h:1` },
        { ...partsOf(target), DATABASE_NAME: urlOf(target, PASSWORD), AMP_ADMIN_API_ADDR: `http://h:1/${TOKEN}` }
      ].map((change, index) =>
        provoke(
          `bad settings ${index + 1}`,
          { ...base, ...change, LOG_FORMAT: logFormats[index % logFormats.length]! },
          /Invalid configuration/
        )
      )
      const lives = [
        life("user information", "logfmt", false),
        life("DATABASE_URL_FILE", "json", true),
        life("PGPASSFILE", "pretty", false)
      ]
      const [values] = yield* Effect.all([
        Effect.all(lives, { concurrency: 3 }),
        Effect.all([...badSettings, ...provocations], { concurrency: 2 })
      ], { concurrency: 2 })

      assert.isAbove(outputs.length, 40)
      assert.deepStrictEqual(
        outputs.filter(([, text]) =>
          text.length < 2
        ).map(([what]) => what),
        []
      )
      const found = outputs.flatMap(([what, text]) => [
        ...leaks(text, PASSWORD, PASSWORD_WORDS).map((how) => `${what}: the password, ${how}`),
        ...leaks(text, TOKEN, TOKEN_WORDS).map((how) => `${what}: the token, ${how}`),
        ...new Set(values.flat().filter((value) => leaks(text, value).length > 0).map((value) => `${what}: ${value}`))
      ])
      assert.deepStrictEqual(found, [])
    }), 170_000)
})

describe("the search for secrets", () => {
  it("finds a secret in every encoding that it knows", () => {
    for (const [name, encoded] of encodingsOf(PASSWORD)) assert.include(leaks(`<${encoded}>`, PASSWORD), name)
    for (let offset = 0; offset < 6; offset++) {
      const text = Buffer.from(`${"x".repeat(offset)}${PASSWORD}${"y".repeat(offset)}`)
      assert.isNotEmpty(leaks(text.toString("base64"), PASSWORD))
      assert.isNotEmpty(leaks(text.toString("base64url"), PASSWORD))
      assert.isNotEmpty(leaks(text.toString("hex").toUpperCase(), PASSWORD))
    }
    assert.deepStrictEqual(leaks("nothing of it", PASSWORD, PASSWORD_WORDS), [])
    assert.deepStrictEqual(leaks("a QUOKKA", PASSWORD, PASSWORD_WORDS), ["the part Quokka"])
  })
})
