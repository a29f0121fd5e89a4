import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Redacted } from "effect"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { layer, layerFrom, type SettingValues } from "../../src/layers/Config.ts"
import { AmpsyncConfig, ConfigError } from "../../src/services/Config.ts"

/** A directory with a config file, gone when the test ends. */
const directory = Effect.acquireRelease(
  Effect.promise(async () => {
    const path = await mkdtemp(join(tmpdir(), "ampsync-config-"))
    await writeFile(join(path, "nozzle.config.ts"), "export default {}")
    return path
  }),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const fromEnvironment = (env: Record<string, string>) =>
  Effect.provide(AmpsyncConfig, layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))))

const errorOf = (env: Record<string, string>) =>
  Effect.map(Effect.flip(fromEnvironment(env)), (error) => {
    assert.instanceOf(error, ConfigError)
    return error
  })

/** What is set in every case that is about something else. */
const withBasics = Effect.fnUntraced(function*(env: Record<string, string>) {
  const path = join(yield* directory, "nozzle.config.ts")
  return { DATASET_MANIFEST: path, DATABASE_URL: "postgresql://me:hunter2@h/db", ...env }
})

const given = Effect.fnUntraced(function*(env: Record<string, string>) {
  return yield* fromEnvironment(yield* withBasics(env))
})

const problemsWith = Effect.fnUntraced(function*(env: Record<string, string>) {
  return (yield* errorOf(yield* withBasics(env))).problems
})

describe("AmpsyncConfig", () => {
  it.effect("has the defaults of the README", () =>
    Effect.gen(function*() {
      const config = yield* given({})
      assert.strictEqual(config.flightAddr.href, "http://localhost:1602/")
      assert.strictEqual(config.adminAddr.href, "http://localhost:1610/")
      assert.strictEqual(config.databaseSchema, "public")
      assert.isUndefined(config.authToken)
      assert.strictEqual(config.grpcMaxDecodeBytes, 32 * 1024 * 1024)
      assert.deepStrictEqual([config.maxConcurrentBatches, config.maxDbConnections, config.retentionBlocks], [10, 10, 128])
      assert.deepStrictEqual([config.onChainReset, config.notifyOnCommit, config.textNul], ["park", true, "refuse"])
      assert.deepStrictEqual(config.log, { level: "info", targets: [] })
    }))

  it.effect("takes every variable", () =>
    Effect.gen(function*() {
      const config = yield* given({
        DATABASE_SCHEMA: "My Chain",
        AMP_FLIGHT_ADDR: "https://flight.example/",
        AMP_ADMIN_API_ADDR: "http://10.0.0.1:1610",
        AMP_AUTH_TOKEN: "t0ken",
        GRPC_MAX_DECODE_MB: "512",
        MAX_CONCURRENT_BATCHES: " 3 ",
        MAX_DB_CONNECTIONS: "1000",
        RETENTION_BLOCKS: "64",
        ON_CHAIN_RESET: "resync",
        NOTIFY_ON_COMMIT: "false",
        TEXT_NUL: "replace",
        RUST_LOG: "ampsync=debug,warn"
      })
      assert.strictEqual(config.databaseSchema, "My Chain")
      assert.strictEqual(config.flightAddr.origin, "https://flight.example")
      assert.strictEqual(config.adminAddr.host, "10.0.0.1:1610")
      assert.strictEqual(Redacted.value(config.authToken ?? assert.fail()), "t0ken")
      assert.strictEqual(config.grpcMaxDecodeBytes, 512 * 1024 * 1024)
      assert.deepStrictEqual([config.maxConcurrentBatches, config.maxDbConnections, config.retentionBlocks], [3, 1000, 64])
      assert.deepStrictEqual([config.onChainReset, config.notifyOnCommit, config.textNul], ["resync", false, "replace"])
      assert.deepStrictEqual(config.log, { level: "warn", targets: [{ target: "ampsync", level: "debug" }] })
    }))

  it.effect("takes the database in parts, without escaping or joining them", () =>
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

  it.effect("gives a DATABASE_URL without a password the one of DATABASE_PASSWORD", () =>
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
      assert.strictEqual(Redacted.value(config.authToken ?? assert.fail()), "t0ken")
    }))

  it.effect("refuses a secret that is given twice, naming both variables", () =>
    Effect.gen(function*() {
      const [problem, ...others] = yield* problemsWith({ DATABASE_URL_FILE: "/nowhere" })
      assert.deepStrictEqual(problem, {
        variable: "DATABASE_URL_FILE",
        found: "is set together with DATABASE_URL",
        allowed: "one of DATABASE_URL and DATABASE_URL_FILE"
      })
      assert.deepStrictEqual(others, [])
    }))

  it.effect("names a secret file that is missing or empty", () =>
    Effect.gen(function*() {
      const path = yield* directory
      yield* Effect.promise(() => writeFile(join(path, "empty"), "\n"))
      const { problems } = yield* errorOf({
        DATASET_MANIFEST: join(path, "nozzle.config.ts"),
        DATABASE_URL_FILE: join(path, "gone"),
        AMP_AUTH_TOKEN_FILE: join(path, "empty")
      })
      assert.deepStrictEqual(problems.map(({ variable }) => variable), ["DATABASE_URL_FILE", "AMP_AUTH_TOKEN_FILE"])
      assert.include(problems[0]?.found, "ENOENT")
      assert.include(problems[1]?.found, "is empty")
    }))

  it.effect("accepts the upstream's name of the decode limit, and refuses two different values", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* given({ AMPSYNC_GRPC_MAX_DECODE_MB: "8" })).grpcMaxDecodeBytes, 8 * 1024 * 1024)
      const problems = yield* problemsWith({ AMPSYNC_GRPC_MAX_DECODE_MB: "8", GRPC_MAX_DECODE_MB: "9" })
      assert.include(problems[0]?.found, "AMPSYNC_GRPC_MAX_DECODE_MB")
    }))

  it.effect("tells every problem at once: the variable, what was given and what is allowed", () =>
    Effect.gen(function*() {
      const error = yield* errorOf({
        DATABASE_USER: "me",
        DATABASE_PORT: "54x32",
        DATABASE_SCHEMA: "pg_catalog",
        AMP_FLIGHT_ADDR: "localhost:1602",
        AMP_ADMIN_API_ADDR: "http://h/admin?key=hunter2",
        AMP_AUTH_TOKEN: "Bearer hunter2",
        GRPC_MAX_DECODE_MB: "513",
        MAX_CONCURRENT_BATCHES: "0",
        MAX_DB_CONNECTIONS: "1e2",
        RETENTION_BLOCKS: "63",
        ON_CHAIN_RESET: "delete",
        NOTIFY_ON_COMMIT: "maybe",
        TEXT_NUL: "drop",
        RUST_LOG: "ampsync=loud"
      })
      assert.strictEqual(
        error.message,
        [
          "Invalid configuration:",
          "  - DATASET_MANIFEST is not set; allowed: the path of the config file (ts, js, mts, mjs or json)",
          "  - DATABASE_PORT is \"54x32\"; allowed: a whole number from 1 to 65535",
          "  - DATABASE_NAME is not set; allowed: DATABASE_URL, or DATABASE_USER together with DATABASE_NAME",
          "  - AMP_AUTH_TOKEN holds a blank or a character outside of ASCII; allowed: a token without the word Bearer, in visible " +
          "ASCII characters",
          "  - DATABASE_SCHEMA is \"pg_catalog\"; allowed: a name of at most 63 bytes that is not one of PostgreSQL's own schemas",
          "  - AMP_FLIGHT_ADDR is \"localhost:1602\"; allowed: http://host:port or https://host:port, without a path",
          "  - AMP_ADMIN_API_ADDR has something behind \"http://h\"; allowed: http://host:port or https://host:port, without a path",
          "  - GRPC_MAX_DECODE_MB is \"513\"; allowed: a whole number from 1 to 512",
          "  - MAX_CONCURRENT_BATCHES is \"0\"; allowed: a whole number from 1 to 1000",
          "  - MAX_DB_CONNECTIONS is \"1e2\"; allowed: a whole number from 1 to 1000",
          "  - RETENTION_BLOCKS is \"63\"; allowed: a whole number of at least 64",
          "  - ON_CHAIN_RESET is \"delete\"; allowed: park or resync",
          "  - NOTIFY_ON_COMMIT is \"maybe\"; allowed: true or false",
          "  - TEXT_NUL is \"drop\"; allowed: refuse or replace",
          "  - RUST_LOG is \"ampsync=loud\" and holds the unknown level \"loud\"; allowed: off, error, warn, info, debug, trace, or a " +
          "list such as info,ampsync=debug"
        ].join("\n")
      )
    }))

  it.effect("I7 says nothing of the value of a secret, and prints none of those it keeps", () =>
    Effect.gen(function*() {
      const error = yield* errorOf(
        yield* withBasics({
          DATABASE_URL: "postgresql://me:hunter2@h:hunter2/db",
          AMP_AUTH_TOKEN: "hunter2 hunter2",
          AMP_FLIGHT_ADDR: "http://me:hunter2@h:1602",
          AMP_ADMIN_API_ADDR: "http://me:hunter2@h:16 10"
        })
      )
      assert.deepStrictEqual(error.problems.length, 4)
      assert.notInclude(error.message + JSON.stringify(error), "hunter2")
      const config = yield* given({ AMP_AUTH_TOKEN: "hunter2" })
      assert.notInclude(JSON.stringify(config), "hunter2")
    }))

  it.effect("checks that the config file is a file it can load", () =>
    Effect.gen(function*() {
      const path = yield* directory
      yield* Effect.promise(() => mkdir(join(path, "directory.ts")))
      const found = (file: string) =>
        Effect.map(problemsWith({ DATASET_MANIFEST: join(path, file) }), (problems) => problems[0]?.found ?? "")
      assert.include(yield* found("gone.ts"), "does not exist")
      assert.include(yield* found("nozzle.config.ts/x.ts"), "does not exist")
      assert.include(yield* found("directory.ts"), "is not a file")
      assert.include(yield* found("config.yaml"), "extension that is not supported")
      assert.include(yield* found("config.cts"), "extension that is not supported")
      assert.include(yield* found("config"), "without an extension")
      assert.include(yield* found("gone.ts"), join(path, "gone.ts"))
    }))

  it.effect("finds a bare file name in the working directory", () =>
    Effect.gen(function*() {
      const { manifestPath } = yield* given({ DATASET_MANIFEST: "package.json" })
      assert.strictEqual(manifestPath, join(process.cwd(), "package.json"))
    }))
})

describe("layerFrom", () => {
  const from = (values: SettingValues) => Effect.provide(AmpsyncConfig, layerFrom(values))

  it.effect("takes the values of a host program by the same rules, and nothing from the environment", () =>
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
