/** A PostgreSQL server with TLS, and roles with one way of authentication each. */
import { Context, Effect, Layer, Redacted } from "effect"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { Client, type QueryResultRow } from "pg"
import { layer as embedded } from "../../../src/demo/embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "../../../src/demo/EmbeddedPostgres.ts"
import { layerFrom, type SettingValues } from "../../../src/layers/Config.ts"
import { layerWith } from "../../../src/layers/PgPool.ts"
import { PgPool } from "../../../src/services/PgPool.ts"
import { recordedLog } from "../../doubles/Log.ts"
import { eventually } from "../../support/eventually.ts"
import type { TestDatabase } from "../../support/postgres.ts"

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/tls/${name}`, import.meta.url))

/** The authority that signed the server's certificate, which is for localhost and 127.0.0.1. */
export const CA = fixture("ca.pem")

/** The password of every role. */
export const PASSWORD = "hunter2"

const ROLES = {
  tls_only: "hostssl all tls_only all scram-sha-256",
  plain_only: "hostnossl all plain_only all scram-sha-256",
  scram: "host all scram all scram-sha-256",
  other: "host all other all scram-sha-256",
  trusted: "host all trusted all trust",
  cleartext: "host all cleartext all password",
  hashed: "host all hashed all md5"
} as const

export interface TlsServerShape {
  readonly port: number
  readonly query: TestDatabase["query"]
  /** A URL for a role; `query` is without the question mark. */
  readonly url: (
    role: keyof typeof ROLES,
    query?: string,
    at?: { readonly host?: string; readonly port?: number }
  ) => string
}

export class TlsServer extends Context.Service<TlsServer, TlsServerShape>()("test/TlsServer") {
  static readonly layer = Layer.effect(
    TlsServer,
    Effect.gen(function*() {
      const { dataDirectory, password, port, user } = yield* EmbeddedPostgres
      const admin = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const admin = new Client({
            host: "127.0.0.1",
            port,
            user,
            password: Redacted.value(password),
            database: "postgres"
          })
          await admin.connect()
          return admin
        }),
        (admin) => Effect.promise(() => admin.end())
      )
      const run = (sql: string) => Effect.promise(() => admin.query(sql))
      // The server writes its files: they must belong to its account.
      const write = (name: string, text: string) =>
        run(`COPY (SELECT unnest(string_to_array(${admin.escapeLiteral(text.trimEnd())}, E'\\n')))
          TO PROGRAM ${admin.escapeLiteral(`umask 077; cat > '${dataDirectory}/${name}'`)}`)
      for (const name of ["server.pem", "server.key"]) {
        yield* write(name, yield* Effect.promise(() => readFile(fixture(name), "utf8")))
      }
      for (const role of Object.keys(ROLES)) {
        if (role === "hashed") yield* run("SET password_encryption = 'md5'")
        yield* run(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`)
        yield* run("RESET password_encryption")
      }
      const rules = [`host all ${user} all scram-sha-256`, ...Object.values(ROLES)]
      yield* write("pg_hba.conf", rules.join("\n"))
      yield* run("ALTER SYSTEM SET ssl_cert_file = 'server.pem'")
      yield* run("ALTER SYSTEM SET ssl_key_file = 'server.key'")
      yield* run("ALTER SYSTEM SET ssl = on")
      yield* run("SELECT pg_reload_conf()")
      yield* eventually(
        "the server has TLS",
        Effect.promise(async () => {
          const probe = new Client({
            host: "127.0.0.1",
            port,
            user: "tls_only",
            password: PASSWORD,
            database: "postgres",
            ssl: { rejectUnauthorized: false }
          })
          return probe.connect().then(() => probe.end()).then(() => true, () => false)
        })
      )
      return TlsServer.of({
        port,
        query: <Row extends QueryResultRow>(sql: string, params: ReadonlyArray<unknown> = []) =>
          Effect.map(Effect.promise(() => admin.query<Row>(sql, [...params])), ({ rows }) => rows),
        url: (role, query = "", { host = "127.0.0.1", port: at = port } = {}) =>
          `postgresql://${role}:${PASSWORD}@${host}:${at}/postgres?application_name=${role}&${query}`
      })
    })
  ).pipe(Layer.provide(embedded))
}

/** A pool as the program makes it. */
export const pool = (values: SettingValues, { layer: logging } = recordedLog()) => {
  const settings = layerFrom({ DATASET_MANIFEST: "package.json", ...values })
  return Layer.build(layerWith({}).pipe(Layer.provide(settings))).pipe(
    Effect.map((services) => Context.get(services, PgPool)),
    Effect.provide(logging)
  )
}
