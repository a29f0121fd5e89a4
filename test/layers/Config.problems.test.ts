import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import {
  databaseFromEnvironment,
  directory,
  errorOf,
  fromEnvironment,
  given,
  linesOf,
  logFilterFromEnvironment,
  problemsWith,
  withBasics
} from "./config/given.ts"

/** Sets variables of this process until the test ends. */
const inEnvironment = (env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => Object.assign(process.env, env)),
    () => Effect.sync(() => Object.keys(env).forEach((name) => delete process.env[name]))
  )

describe("ConfigError", () => {
  it.effect("rejects a secret that is set twice, and names both variables", () =>
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
      assert.strictEqual(problems[1]?.allowed, "the path of a file that is not empty")
    }))

  it.effect("I7 prints nothing of a secret that was set in place of the path of its file", () =>
    Effect.gen(function*() {
      for (const secret of ["postgresql://me:hunter2@h/db", "hunter2", "hunter2/x", `${"hunter2".repeat(60)}`]) {
        const path = join(yield* directory, "nozzle.config.ts")
        for (
          const [variable, others] of [
            ["DATABASE_URL_FILE", {}],
            ["DATABASE_PASSWORD_FILE", { DATABASE_URL: "postgresql://me@h/db" }],
            ["AMP_AUTH_TOKEN_FILE", { DATABASE_URL: "postgresql://me@h/db" }]
          ] as const
        ) {
          const error = yield* errorOf({ DATASET_MANIFEST: path, ...others, [variable]: secret })
          assert.match(
            error.message,
            new RegExp(`  - ${variable} names a file that cannot be read \\(E[A-Z]+\\); allowed: `)
          )
          assert.notInclude(error.message + JSON.stringify(error), "hunter2")
        }
      }
    }))

  it.effect("I7 rejects a DATABASE_HOST with more than a host, names the variables for the rest, and repeats nothing of it", () =>
    Effect.gen(function*() {
      const basics = { DATASET_MANIFEST: "package.json", DATABASE_USER: "me", DATABASE_NAME: "db" }
      for (
        const [host, why] of [
          ["hunter2:5432", "has a port after the host"],
          ["[::1]:5432", "has a port after the host"],
          ["postgresql://me:hunter2@h", "is a URL instead of a host"],
          ["me:hunter2@h", "is a URL instead of a host"],
          ["hunter2,h", "names several hosts"],
          ["hunter2/h", "is no host name"]
        ] as const
      ) {
        const error = yield* errorOf({ ...basics, DATABASE_HOST: host })
        assert.deepStrictEqual(error.problems.map(({ found, variable }) => `${variable} ${found}`), [
          `DATABASE_HOST ${why}`
        ])
        if (why.includes("port")) assert.include(error.message, "the port goes to DATABASE_PORT")
        assert.notInclude(error.message, "hunter2")
      }
      for (const host of ["db.example", "::1", "[2001:db8::1]", "::ffff:10.0.0.1", "fe80::1%eth0", "/run/postgresql"]) {
        yield* fromEnvironment({ ...basics, DATABASE_HOST: host })
      }
    }))

  it.effect("names the variable whose value contradicts another one, not that of the user", () =>
    Effect.gen(function*() {
      const parts = { DATASET_MANIFEST: "package.json", DATABASE_USER: "me", DATABASE_NAME: "db" }
      for (
        const [env, problem] of [
          [
            { DATABASE_SSLMODE: "require", DATABASE_SSLROOTCERT: "system" },
            "DATABASE_SSLROOTCERT has sslrootcert=system with sslmode=require"
          ],
          [{ PGSSLCERT: "/x" }, "PGSSLCERT has only one of sslcert and sslkey"],
          [{ PGSSLKEY: "/x" }, "PGSSLKEY has only one of sslcert and sslkey"],
          [
            { PGCHANNELBINDING: "require", PGSSLMODE: "disable" },
            "PGCHANNELBINDING has channel_binding=require with sslmode=disable"
          ]
        ] as const
      ) {
        const { problems } = yield* errorOf({ ...parts, ...env })
        assert.deepStrictEqual(problems.map(({ found, variable }) => `${variable} ${found}`), [problem])
      }
      const [inUrl] = yield* problemsWith({ DATABASE_URL: "postgresql://me@h/db?sslcert=/x", PGSSLROOTCERT: "system" })
      assert.strictEqual(inUrl?.variable, "DATABASE_URL")
    }))

  it.effect("accepts the upstream's name of the decode limit, and rejects two different values", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* given({ AMPSYNC_GRPC_MAX_DECODE_MB: "8" })).grpcMaxDecodeBytes, 8 * 1024 * 1024)
      const [wrong] = yield* problemsWith({ AMPSYNC_GRPC_MAX_DECODE_MB: "0" })
      assert.deepStrictEqual([wrong?.variable, wrong?.found], ["AMPSYNC_GRPC_MAX_DECODE_MB", "is \"0\""])
      const problems = yield* problemsWith({ AMPSYNC_GRPC_MAX_DECODE_MB: "8", GRPC_MAX_DECODE_MB: "9" })
      assert.include(problems[0]?.found, "AMPSYNC_GRPC_MAX_DECODE_MB")
    }))

  it.effect("reports every problem at once, in the order of the settings: the variable, its value and what is allowed", () =>
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
          "  - DATASET_MANIFEST is not set; allowed: the path of the config file (ts, js, mts, mjs or json), or DATASET together " +
          "with TABLES",
          "  - DATABASE_NAME is not set; allowed: DATABASE_URL, or DATABASE_USER together with DATABASE_NAME",
          "  - DATABASE_PORT is \"54x32\"; allowed: a whole number from 1 to 65535",
          "  - DATABASE_SCHEMA is \"pg_catalog\"; allowed: a name of at most 63 bytes that is not one of PostgreSQL's own schemas",
          "  - MAX_DB_CONNECTIONS is \"1e2\"; allowed: a whole number from 2 to 1000",
          "  - AMP_FLIGHT_ADDR is \"localhost:1602\"; allowed: http://host:port or https://host:port, without a path",
          "  - AMP_ADMIN_API_ADDR has a path, a query or a fragment after \"http://h\"; allowed: http://host:port or https://host:port, without a path",
          "  - AMP_AUTH_TOKEN contains a blank or a character outside of ASCII; allowed: a token without the word Bearer, in visible " +
          "ASCII characters",
          "  - GRPC_MAX_DECODE_MB is \"513\"; allowed: a whole number from 1 to 512",
          "  - MAX_CONCURRENT_BATCHES is \"0\"; allowed: a whole number from 1 to 1000",
          "  - RETENTION_BLOCKS is \"63\"; allowed: a whole number of at least 64",
          "  - ON_CHAIN_RESET is \"delete\"; allowed: park or resync",
          "  - NOTIFY_ON_COMMIT is \"maybe\"; allowed: true or false (1 or 0)",
          "  - TEXT_NUL is \"drop\"; allowed: refuse or replace",
          "  - RUST_LOG is \"ampsync=loud\" and contains the unknown level \"loud\"; allowed: off, error, warn, info, debug, trace, or a " +
          "list such as info,ampsync=debug"
        ].join("\n")
      )
    }))

  it.effect("I7 warns of a misspelled variable of the environment, and names it with the missing one", () =>
    Effect.gen(function*() {
      yield* inEnvironment({ AMP_FLIGHT_ADRR: "hunter2", database_url: "hunter2", DATABASE_USERNAME: "hunter2" })
      const lines = yield* linesOf(fromEnvironment(yield* withBasics({})))
      assert.deepStrictEqual(lines.toSorted(), [
        "Warn The environment variable AMP_FLIGHT_ADRR is ignored; did you mean AMP_FLIGHT_ADDR?",
        "Warn The environment variable database_url is ignored; did you mean DATABASE_URL?"
      ])
      const error = yield* errorOf({ DATASET: "_/anvil", TABLES: "blocks" })
      assert.include(error.message, "\n  - DATABASE_URL is not set; allowed: ")
      assert.include(error.message, "\n  - database_url is no setting; allowed: DATABASE_URL, if that is meant")
      assert.notInclude(error.message, "hunter2")
    }))

  it.effect("I7 omits what stands after the host of an address that is no URL or has another scheme", () =>
    Effect.gen(function*() {
      for (const text of ["host:443/hunter2", "grpc://h:1602/?key=hunter2", "host/hunter2", "me:hunter2@host:443"]) {
        const error = yield* errorOf({ AMP_FLIGHT_ADDR: text, AMP_ADMIN_API_ADDR: text })
        assert.include(error.message, `AMP_FLIGHT_ADDR is ${text.includes("@") ? "not a URL" : `"${text.slice(0, 4)}`}`)
        assert.notInclude(error.message, "hunter2")
      }
    }))

  it.effect("I7 rejects a URL in the place of a database or user, which the server's messages would repeat", () =>
    Effect.gen(function*() {
      const url = "postgres://me:hunter2@h/app"
      const error = yield* errorOf({ DATABASE_USER: url, DATABASE_NAME: url })
      assert.include(error.message, "DATABASE_USER has a user that is a URL; allowed: ")
      assert.include(error.message, "DATABASE_NAME has a dbname that is a URL; allowed: ")
      assert.notInclude(error.message, "hunter2")
    }))

  it.effect("warns of a target in RUST_LOG that there is not, with those that there are", () =>
    Effect.gen(function*() {
      const env = { RUST_LOG: "ampsync::tabel=debug" }
      const [line, ...others] = yield* linesOf(fromEnvironment(yield* withBasics(env)))
      assert.deepStrictEqual(others, [])
      assert.include(
        line,
        "Warn RUST_LOG: \"ampsync::tabel=debug\" is ignored: no target has this name. The targets are ampsync, ampsync::table, "
      )
    }))

  it.effect("I7 warns of a token that goes to another host without TLS, once for each address", () =>
    Effect.gen(function*() {
      const warned = (env: Record<string, string>) =>
        Effect.flatMap(withBasics({ AMP_AUTH_TOKEN: "t0ken-s3cret", ...env }), (all) => linesOf(fromEnvironment(all)))
      const lines = yield* warned({ AMP_FLIGHT_ADDR: "http://amp:1602", AMP_ADMIN_API_ADDR: "http://10.0.0.1:1610" })
      assert.deepStrictEqual(lines.map((line) => / without TLS to (.*) names:/.exec(line)?.[1]), [
        "http://amp:1602, which AMP_FLIGHT_ADDR",
        "http://10.0.0.1:1610, which AMP_ADMIN_API_ADDR"
      ])
      assert.notInclude(lines.join(), "t0ken-s3cret")
      assert.deepStrictEqual(yield* warned({ AMP_FLIGHT_ADDR: "https://amp:1602" }), [])
      // A verb of the database alone does not check the address.
      const unchecked = { AMP_AUTH_TOKEN: "t0ken", AMP_FLIGHT_ADDR: "http://me:hunter2@amp:1602/hunter2" }
      const [line] = yield* linesOf(databaseFromEnvironment(yield* withBasics(unchecked)))
      assert.include(line, "to http://amp:1602, which")
      assert.notInclude(line, "hunter2")
      assert.deepStrictEqual(
        yield* warned({ AMP_FLIGHT_ADDR: "http://127.0.0.1:1602", AMP_ADMIN_API_ADDR: "http://[::1]:1610" }),
        []
      )
      assert.deepStrictEqual(yield* warned({ AMP_AUTH_TOKEN: "", AMP_FLIGHT_ADDR: "http://amp:1602" }), [])
    }))

  it.effect("warns of a part of RUST_LOG that has a wrong separator", () =>
    Effect.gen(function*() {
      const env = { RUST_LOG: "warn,info;ampsync=debug" }
      assert.strictEqual((yield* logFilterFromEnvironment(env)).level, "warn")
      assert.deepStrictEqual(yield* linesOf(fromEnvironment(yield* withBasics(env))), [
        "Warn RUST_LOG: \"info;ampsync=debug\" is ignored: no target has this name. Separate parts with commas: info,ampsync=debug"
      ])
    }))

  it.effect("accepts a config file or a complete dataset, not both", () =>
    Effect.gen(function*() {
      const both = yield* problemsWith({ DATASET: "_/anvil", TABLES: "blocks" })
      assert.deepStrictEqual(both.map(({ found, variable }) => `${variable} ${found}`), [
        "DATASET is set together with DATASET_MANIFEST",
        "TABLES is set together with DATASET_MANIFEST"
      ])
      const halves = { DATASET: "TABLES is not set", TABLES: "DATASET is not set" }
      for (const [variable, problem] of Object.entries(halves)) {
        const { problems } = yield* errorOf({ DATABASE_URL: "postgresql://me@h/db", [variable]: "anvil" })
        assert.deepStrictEqual(problems.map((_) => `${_.variable} ${_.found}`), [problem])
      }
      const wrong = { DATASET: "Anvil@x", TABLES: "blocks,,blocks", VERSION_POLL_INTERVAL_SECS: "0" }
      const { problems } = yield* errorOf({ DATABASE_URL: "postgresql://me@h/db", ...wrong })
      assert.deepStrictEqual(problems.map(({ variable }) => variable), Object.keys(wrong))
      const { manifest, versionPollInterval } = yield* fromEnvironment({
        DATABASE_URL: "postgresql://me@h/db",
        DATASET: "edge/mainnet@1.2.3",
        TABLES: " blocks, logs ",
        VERSION_POLL_INTERVAL_SECS: "5"
      })
      assert.deepStrictEqual(manifest, {
        _tag: "Dataset",
        reference: { namespace: "edge", name: "mainnet", revision: "1.2.3" },
        tables: ["blocks", "logs"]
      })
      assert.strictEqual(Duration.toSeconds(versionPollInterval ?? assert.fail()), 5)
    }))

  it.effect("I7 reports nothing of the value of a secret, and settings print none", () =>
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

  it.effect("I7 names DATABASE_URL and the parameter of a certificate's file that cannot be used, and not its path", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const [garbage, certificate] = [join(path, "garbage.pem"), join(path, "certificate.pem")]
      yield* Effect.promise(() => writeFile(garbage, "hunter2"))
      yield* Effect.promise(() =>
        writeFile(certificate, "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n")
      )
      const found = (query: string, host = "h") =>
        Effect.gen(function*() {
          const DATABASE_URL = `postgresql://me:hunter2@${host}/db?${query}`
          const env = { DATASET_MANIFEST: join(path, "nozzle.config.ts"), DATABASE_URL }
          const settings = yield* Effect.result(fromEnvironment(env))
          if (settings._tag === "Success") return []
          assert.notInclude(settings.failure.message, "hunter2")
          return settings.failure.problems.map(({ found, variable }) => `${variable} ${found}`)
        })
      const gone = "that names a file that cannot be read (ENOENT)"
      assert.deepStrictEqual(yield* found("sslmode=verify-full&sslrootcert=/hunter2"), [
        `DATABASE_URL has an sslrootcert ${gone}`
      ])
      assert.deepStrictEqual(yield* found("sslmode=require&sslcert=/hunter2&sslkey=/hunter2"), [
        `DATABASE_URL has an sslcert ${gone}`,
        `DATABASE_URL has an sslkey ${gone}`
      ])
      assert.deepStrictEqual(
        yield* found(`sslmode=verify-ca&sslrootcert=${garbage}&sslcert=${garbage}&sslkey=${path}`),
        [
          "DATABASE_URL has an sslkey that names a file that cannot be read (EISDIR)",
          "DATABASE_URL has an sslrootcert that names a file that contains no certificate"
        ]
      )
      assert.match((yield* found(`sslcert=${certificate}&sslkey=${garbage}`)).join(), /an sslkey .* contains no key/)
      // A file that is not read may be missing.
      for (
        const query of ["sslmode=disable&sslcert=/x&sslkey=/x", "sslmode=prefer&sslrootcert=/x", "sslrootcert=system"]
      ) {
        assert.deepStrictEqual(yield* found(query), [])
      }
      assert.deepStrictEqual(yield* found("sslmode=verify-full&sslrootcert=/x", "%2Frun%2Fpostgresql"), [])
    }))

  it.effect("checks that the config file is a file it can load", () =>
    Effect.gen(function*() {
      const path = yield* directory
      yield* Effect.promise(() => mkdir(join(path, "directory.ts")))
      const found = (file: string) =>
        Effect.map(problemsWith({ DATASET_MANIFEST: join(path, file) }), (problems) => problems[0]?.found ?? "")
      assert.include(yield* found("gone.ts"), "does not exist")
      assert.include(yield* found("nozzle.config.ts/x.ts"), "does not exist")
      assert.include(yield* found("directory.ts"), "is not the path of a file")
      assert.include(yield* found("config.yaml"), "extension that is not supported")
      assert.include(yield* found("config.cts"), "extension that is not supported")
      assert.include(yield* found("config"), "without an extension")
      assert.include(yield* found("gone.ts"), join(path, "gone.ts"))
    }))
})
