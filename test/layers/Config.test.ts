import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Redacted } from "effect"
import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { layerFrom, type SettingValues } from "../../src/layers/Config.ts"
import type { ConnectionSettings } from "../../src/services/Config.ts"
import {
  allSettings,
  databaseFromEnvironment,
  directory,
  errorOf,
  fromEnvironment,
  given,
  linesOf,
  logFilterFromEnvironment
} from "./config/given.ts"

describe("DatabaseConfig and SyncConfig", () => {
  it.effect("has the documented defaults", () =>
    Effect.gen(function*() {
      const config = yield* given({})
      assert.strictEqual(config.flightAddr.href, "http://localhost:1602/")
      assert.strictEqual(config.adminAddr.href, "http://localhost:1610/")
      assert.strictEqual(config.databaseSchema, "public")
      assert.isUndefined(config.authToken)
      assert.strictEqual(config.grpcMaxDecodeBytes, 32 * 1024 * 1024)
      assert.deepStrictEqual(config.pingInterval, Duration.minutes(1))
      assert.deepStrictEqual([config.maxConcurrentBatches, config.maxDbConnections, config.retentionBlocks], [
        10,
        10,
        128
      ])
      assert.deepStrictEqual([config.onChainReset, config.notifyOnCommit, config.textNul], ["park", true, "refuse"])
      assert.deepStrictEqual(yield* logFilterFromEnvironment({}), { level: "info", targets: [] })
    }))

  it.effect("are read separately: those of the database need no setting of the server, valid or not", () =>
    Effect.gen(function*() {
      const DATABASE_URL = "postgresql://me:p@h/db"
      const wrong = { DATASET: "X", TABLES: ",", AMP_FLIGHT_ADDR: "x", AMP_AUTH_TOKEN: " b c ", RETENTION_BLOCKS: "1" }
      const config = yield* databaseFromEnvironment({ DATABASE_URL, DATABASE_SCHEMA: "chain", ...wrong })
      assert.deepStrictEqual([config.databaseSchema, config.database.user], ["chain", "me"])
      assert.doesNotHaveAnyKeys(config, ["manifest", "flightAddr"])
      const { problems } = yield* Effect.flip(databaseFromEnvironment({ ...wrong, TEXT_NUL: "x", RUST_LOG: "loud" }))
      assert.deepStrictEqual(problems.map(({ variable }) => variable), ["DATABASE_URL", "TEXT_NUL", "RUST_LOG"])
    }))

  it.effect("reads every variable", () =>
    Effect.gen(function*() {
      const config = yield* given({
        DATABASE_SCHEMA: "My Chain",
        AMP_FLIGHT_ADDR: "https://flight.example/",
        AMP_ADMIN_API_ADDR: "http://10.0.0.1:1610",
        AMP_AUTH_TOKEN: "t0ken",
        GRPC_MAX_DECODE_MB: "512",
        GRPC_PING_INTERVAL_SECS: "0",
        MAX_CONCURRENT_BATCHES: " 3 ",
        MAX_DB_CONNECTIONS: "1000",
        RETENTION_BLOCKS: "64",
        ON_CHAIN_RESET: "resync",
        NOTIFY_ON_COMMIT: "false",
        TEXT_NUL: "replace"
      })
      assert.strictEqual(config.databaseSchema, "My Chain")
      assert.strictEqual(config.flightAddr.origin, "https://flight.example")
      assert.strictEqual(config.adminAddr.host, "10.0.0.1:1610")
      assert.strictEqual(Redacted.value(yield* (config.authToken ?? assert.fail()).read), "t0ken")
      assert.strictEqual(config.grpcMaxDecodeBytes, 512 * 1024 * 1024)
      assert.isUndefined(config.pingInterval)
      assert.deepStrictEqual([config.maxConcurrentBatches, config.maxDbConnections, config.retentionBlocks], [
        3,
        1000,
        64
      ])
      assert.deepStrictEqual([config.onChainReset, config.notifyOnCommit, config.textNul], ["resync", false, "replace"])
      assert.deepStrictEqual(yield* logFilterFromEnvironment({ RUST_LOG: "ampsync=debug,warn" }), {
        level: "warn",
        targets: [{ target: "ampsync", level: "debug" }]
      })
    }))

  it.effect("reads the database from its parts, without escaping or joining them", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "nozzle.config.ts")
      const { database } = yield* fromEnvironment({
        DATASET_MANIFEST: path,
        DATABASE_USER: "me@corp",
        DATABASE_NAME: "my db",
        DATABASE_PASSWORD: " p@ss/%40 ",
        DATABASE_PORT: "6543"
      })
      assert.deepStrictEqual([database.host, database.port, database.user, database.database], [
        "localhost",
        6543,
        "me@corp",
        "my db"
      ])
      assert.strictEqual(Redacted.value(database.password ?? assert.fail()), " p@ss/%40 ")
    }))

  it.effect("prefers DATABASE_URL to the parts, which need not be valid then", () =>
    Effect.gen(function*() {
      const { database } = yield* given({ DATABASE_USER: "other", DATABASE_PORT: "x", DATABASE_PASSWORD: "other" })
      assert.deepStrictEqual([database.user, database.port], ["me", 5432])
      assert.strictEqual(Redacted.value(database.password ?? assert.fail()), "hunter2")
    }))

  it.effect("reads what neither DATABASE_URL nor the parts contain from libpq's variables", () =>
    Effect.gen(function*() {
      const PG = {
        PGHOST: "pg.example",
        PGPORT: "6000",
        PGUSER: "pguser",
        PGDATABASE: "pgdb",
        PGPASSWORD: " pg ",
        PGSSLMODE: "require",
        PGAPPNAME: "mine",
        PGTARGETSESSIONATTRS: "primary",
        PGOPTIONS: "-c a=b",
        PGCHANNELBINDING: "require"
      }
      const session = ({ database: { options } }: ConnectionSettings) => [options?.targetSessionAttrs, options?.options]
      assert.deepStrictEqual(
        session(yield* fromEnvironment({ DATASET_MANIFEST: join(yield* directory, "nozzle.config.ts"), ...PG })),
        ["primary", "-c a=b"]
      )
      const described = ({ database: { database, host, options, password, port, ssl, user } }: ConnectionSettings) => [
        `${user}:${password === undefined ? "" : Redacted.value(password)}@${host}:${port}/${database}`,
        ssl.mode,
        options?.applicationName
      ]
      const DATASET_MANIFEST = join(yield* directory, "nozzle.config.ts")
      assert.deepStrictEqual(described(yield* fromEnvironment({ DATASET_MANIFEST, ...PG })), [
        "pguser: pg @pg.example:6000/pgdb",
        "require",
        "mine"
      ])
      assert.deepStrictEqual(
        described(
          yield* fromEnvironment({ DATASET_MANIFEST, ...PG, DATABASE_URL: "postgresql://me:p@h/?sslmode=allow" })
        ),
        ["me:p@h:6000/pgdb", "allow", "mine"]
      )
      const parts = { DATABASE_USER: "u", DATABASE_NAME: "n", DATABASE_PASSWORD: "q", DATABASE_PORT: "1" }
      assert.deepStrictEqual(
        described(yield* fromEnvironment({ DATASET_MANIFEST, ...PG, ...parts, DATABASE_SSLMODE: "verify-full" })),
        ["u:q@pg.example:1/n", "verify-full", "mine"]
      )
      const error = yield* errorOf({ DATASET_MANIFEST, ...PG, PGSSLMODE: "on", PGHOST: "a,b", PGPORT: "x" })
      assert.deepStrictEqual(error.problems.map(({ found, variable }) => `${variable} ${found}`), [
        "PGHOST names several hosts",
        "PGPORT is \"x\"",
        "PGSSLMODE has a sslmode that is not supported"
      ])
      const ignored = yield* linesOf(fromEnvironment({
        DATASET_MANIFEST,
        DATABASE_URL: "postgresql://me@h/db",
        PGSERVICE: "x",
        PGHOSTADDR: "1.2.3.4",
        PGUSER: "me"
      }))
      assert.deepStrictEqual(ignored, [
        "Warn The environment variable PGSERVICE is ignored; set DATABASE_URL or the DATABASE_* variables instead",
        "Warn The environment variable PGHOSTADDR is ignored; set DATABASE_URL or the DATABASE_* variables instead"
      ])
    }))

  it.effect("uses DATABASE_SSLMODE and DATABASE_SSLROOTCERT with the parts, and with a URL that has none", () =>
    Effect.gen(function*() {
      const tls = { DATABASE_SSLMODE: "verify-full", DATABASE_SSLROOTCERT: "system", PGSSLMODE: "disable" }
      const expected = { mode: "verify-full", rootCertPath: "system" } as const
      assert.deepStrictEqual((yield* given(tls)).database.ssl, expected)
      const basics = { DATASET_MANIFEST: "package.json", DATABASE_USER: "me", DATABASE_NAME: "db" }
      assert.deepStrictEqual((yield* fromEnvironment({ ...basics, ...tls })).database.ssl, expected)
      const bad = { DATABASE_SSLMODE: "verify-ca", DATABASE_SSLROOTCERT: "/nowhere/ca.pem" }
      assert.deepStrictEqual(
        (yield* errorOf({ ...basics, ...bad })).problems.map(({ found, variable }) => `${variable} ${found}`),
        ["DATABASE_SSLROOTCERT has an sslrootcert that names a file that cannot be read (ENOENT)"]
      )
    }))

  it.effect("reads the database's user and password again from their files for every use", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const write = (name: string, text: string) => Effect.promise(() => writeFile(join(path, name), text))
      const login = ({ password, user }: ConnectionSettings["database"]) =>
        `${user}:${password === undefined ? "" : Redacted.value(password)}`
      yield* write("password", "one\n")
      const parts = { DATASET_MANIFEST: "package.json", DATABASE_USER: "me", DATABASE_NAME: "db" }
      const byPassword = yield* fromEnvironment({ ...parts, DATABASE_PASSWORD_FILE: join(path, "password") })
      yield* write("password", "two\n")
      assert.strictEqual(login(yield* byPassword.databaseNow.read), "me:two")
      assert.deepStrictEqual([byPassword.databaseNow.variable, byPassword.databaseNow.mayChange], [
        "DATABASE_PASSWORD_FILE",
        true
      ])
      yield* write("url", "postgresql://a:1@h/db")
      const byUrl = yield* fromEnvironment({ DATASET_MANIFEST: "package.json", DATABASE_URL_FILE: join(path, "url") })
      yield* write("url", "postgresql://b:2@h/db")
      assert.strictEqual(login(yield* byUrl.databaseNow.read), "b:2")
      yield* write("url", "postgresql://b:hunter/2@h/db")
      const broken = yield* Effect.flip(byUrl.databaseNow.read)
      assert.match(broken.message, /^DATABASE_URL_FILE has an unencoded @/)
      assert.notInclude(broken.message, "hunter")
      yield* Effect.promise(() => rm(join(path, "url")))
      assert.strictEqual(
        (yield* Effect.flip(byUrl.databaseNow.read)).message,
        "DATABASE_URL_FILE names a file that cannot be read (ENOENT)"
      )
      const fixed = yield* given({})
      assert.deepStrictEqual([fixed.databaseNow.variable, fixed.databaseNow.mayChange], ["DATABASE_URL", false])
    }))

  it.effect("uses DATABASE_PASSWORD for a DATABASE_URL without a password", () =>
    Effect.gen(function*() {
      const { database } = yield* given({ DATABASE_URL: "postgresql://me@h/db", DATABASE_PASSWORD: "p" })
      assert.strictEqual(Redacted.value(database.password ?? assert.fail()), "p")
    }))

  it.effect("treats an empty variable as one that is not set", () =>
    Effect.gen(function*() {
      const config = yield* given({ MAX_DB_CONNECTIONS: "", AMP_AUTH_TOKEN: " ", DATABASE_URL_FILE: "", RUST_LOG: "" })
      assert.strictEqual(config.maxDbConnections, 10)
      assert.isUndefined(config.authToken)
    }))

  it.effect("reads secrets from files and trims the newline at their end", () =>
    Effect.gen(function*() {
      const path = yield* directory
      yield* Effect.promise(() => writeFile(join(path, "url"), "postgresql://me@h/db\n"))
      yield* Effect.promise(() => writeFile(join(path, "password"), "p \r\n"))
      yield* Effect.promise(() => writeFile(join(path, "token"), "t0ken\n"))
      const config = yield* fromEnvironment({
        DATASET_MANIFEST: join(path, "nozzle.config.ts"),
        DATABASE_URL_FILE: join(path, "url"),
        DATABASE_PASSWORD_FILE: join(path, "password"),
        AMP_AUTH_TOKEN_FILE: join(path, "token")
      })
      assert.strictEqual(config.database.user, "me")
      assert.strictEqual(Redacted.value(config.database.password ?? assert.fail()), "p ")
      assert.strictEqual(Redacted.value(yield* (config.authToken ?? assert.fail()).read), "t0ken")
    }))

  it.effect("reads the token again from its file for every use, and checks it again", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const write = (text: string) => Effect.promise(() => writeFile(join(path, "token"), text))
      yield* write("first")
      const { authToken = assert.fail() } = yield* given({ AMP_AUTH_TOKEN_FILE: join(path, "token") })
      assert.isTrue(authToken.mayChange)
      yield* write("second\n")
      assert.strictEqual(Redacted.value(yield* authToken.read), "second")
      yield* write("hunter 2")
      assert.strictEqual(
        (yield* Effect.flip(authToken.read)).message,
        "AMP_AUTH_TOKEN_FILE contains a blank or a character outside of ASCII"
      )
      yield* Effect.promise(() => rm(join(path, "token")))
      assert.strictEqual(
        (yield* Effect.flip(authToken.read)).message,
        "AMP_AUTH_TOKEN_FILE names a file that cannot be read (ENOENT)"
      )
      yield* write("third")
      assert.strictEqual(Redacted.value(yield* authToken.read), "third")
    }))

  it.effect("finds a bare file name in the working directory", () =>
    Effect.gen(function*() {
      const { manifest } = yield* given({ DATASET_MANIFEST: "package.json" })
      assert.deepStrictEqual(manifest, { _tag: "File", path: join(process.cwd(), "package.json") })
    }))
})

const from = (values: SettingValues) => Effect.provide(allSettings, layerFrom(values))

describe("layerFrom", () => {
  it.effect("warns of ignored values, as of ignored variables of the environment", () =>
    Effect.gen(function*() {
      const values = { DATASET: "anvil", TABLES: "blocks", DATABASE_URL: "postgresql://me@h/db", PGSERVICE: "x" }
      assert.deepStrictEqual(yield* linesOf(from({ ...values, RUST_LOG: "info;x" })), [
        "Warn The environment variable PGSERVICE is ignored; set DATABASE_URL or the DATABASE_* variables instead",
        "Warn RUST_LOG: \"info;x\" is ignored: no target has this name. Separate parts with commas: info,ampsync=debug"
      ])
    }))

  it.effect("reads the values of a host program by the same rules, and nothing from the environment", () =>
    Effect.gen(function*() {
      const config = yield* from({
        DATASET_MANIFEST: "package.json",
        DATABASE_URL: Redacted.make("postgresql://me:p@h/db"),
        AMP_FLIGHT_ADDR: new URL("http://flight:1602"),
        MAX_DB_CONNECTIONS: 4,
        NOTIFY_ON_COMMIT: false
      })
      assert.strictEqual(config.database.user, "me")
      assert.deepStrictEqual([config.flightAddr.host, config.maxDbConnections, config.notifyOnCommit], [
        "flight:1602",
        4,
        false
      ])
      const exit = yield* Effect.exit(from({ MAX_DB_CONNECTIONS: 0, DATABASE_SCHEMA: undefined }))
      assert.isTrue(Exit.isFailure(exit))
      const error = yield* Effect.flip(from({ MAX_DB_CONNECTIONS: 0 }))
      assert.deepStrictEqual(error.problems.map(({ variable }) => variable), [
        "DATASET_MANIFEST",
        "DATABASE_URL",
        "MAX_DB_CONNECTIONS"
      ])
    }))
})
