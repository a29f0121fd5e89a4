import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { SqlError } from "effect/sql"
import { rm, writeFile } from "node:fs/promises"
import { connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { recordedLog } from "../doubles/Log.ts"
import { startCluster } from "../support/cluster.ts"
import { endSessions } from "../support/endSessions.ts"
import { eventually } from "../support/eventually.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { CA, PASSWORD, pool, TlsServer } from "./pg-pool/tlsServer.ts"

type Pool = Effect.Success<ReturnType<typeof pool>>

/** Whether the session is encrypted. */
const isEncrypted = ({ sql }: Pool) =>
  Effect.map(
    sql.unsafe<{ ssl: boolean }>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
    ([row]) => row?.ssl
  )

/** The failure of a start that is not retried. */
const refusal = (url: string) =>
  Effect.flip(pool({ DATABASE_URL: url })).pipe(
    Effect.tap((error) => Effect.sync(() => assert.notInclude(error.message + JSON.stringify(error), PASSWORD))),
    Effect.map((error) => (error as SqlError.SqlError).message),
    Effect.scoped,
    Effect.timeout("10 seconds")
  )

const secretFile = Effect.gen(function*() {
  const file = join(yield* temporaryDirectory, "secret")
  return { file, write: (text: string) => Effect.promise(() => writeFile(file, `${text}\n`)) }
})

/** Sets a variable of this process until the test ends. */
const setVariable = (name: string, value: string) =>
  Effect.acquireRelease(
    Effect.sync(() => process.env[name] = value),
    () => Effect.sync(() => delete process.env[name])
  )

/** A TCP server that handles each connection with `serve`, until the scope closes. */
const listen = (serve: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket.on("error", () => {}))
        serve(socket)
      })
      server.listen(0, "127.0.0.1", () => {
        const close = () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ port: (server.address() as { port: number }).port, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** Every other first message is longer. */
const SSL_REQUEST_BYTES = 8

/** `E`, then the fields, each with its type before it and NUL behind it. Source: PostgreSQL, doc "Error and Notice Message Fields". */
const errorResponse = (code: string, message: string): Buffer => {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`)
  const header = Buffer.from([0x45, 0, 0, 0, 0])
  header.writeInt32BE(4 + fields.length, 1)
  return Buffer.concat([header, fields])
}

describe("connecting", () => {
  layer(TlsServer.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("reads DATABASE_PASSWORD_FILE for every connection: a rotated password is used by the next one", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const { file, write } = yield* secretFile
        yield* write(PASSWORD)
        const { sql } = yield* pool({
          DATABASE_URL: server.url("scram").replace(`:${PASSWORD}@`, "@"),
          DATABASE_PASSWORD_FILE: file
        })
        yield* server.query("ALTER ROLE scram PASSWORD 'rotated'")
        yield* Effect.addFinalizer(() => server.query(`ALTER ROLE scram PASSWORD '${PASSWORD}'`))
        yield* endSessions(server, "usename = 'scram'")
        const error = yield* Effect.flip(
          sql.unsafe("SELECT 1").pipe(Effect.retry({ times: 2, while: (error) => !error.message.includes("28P01") }))
        )
        assert.isTrue(error.isRetryable)
        assert.include(
          error.message,
          "which DATABASE_URL names); DATABASE_PASSWORD_FILE is read again at every attempt"
        )
        yield* write("rotated")
        assert.deepStrictEqual(yield* sql.unsafe("SELECT 1 AS one"), [{ one: 1 }])
      }))

    it.effect("waits at the start for a password in a file to become right, and reads another user from DATABASE_URL_FILE", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const { file, write } = yield* secretFile
        yield* write(server.url("scram").replace(PASSWORD, "wrong"))
        const log = recordedLog()
        const starting = yield* Effect.forkScoped(pool({ DATABASE_URL_FILE: file }, log))
        yield* eventually("it tries again", Effect.sync(() => log.lines.length > 1))
        assert.include(log.lines[0], "DATABASE_URL_FILE is read again at every attempt")
        yield* Effect.promise(() => rm(file))
        yield* eventually(
          "it misses the file",
          Effect.sync(() =>
            log.lines.some((line) => line.includes("DATABASE_URL_FILE names a file that cannot be read (ENOENT)"))
          )
        )
        yield* write(server.url("other"))
        const { sql } = yield* Fiber.join(starting).pipe(Effect.timeout("20 seconds"))
        assert.deepStrictEqual(yield* sql.unsafe("SELECT current_user::text AS me"), [{ me: "other" }])
        assert.notInclude(log.lines.join(), "wrong")
      }))

    it.effect("with a wrong password that no file can change fails at once and names its variable", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const message = yield* refusal(server.url("scram").replace(PASSWORD, "wrong"))
        assert.include(
          message,
          `SQLSTATE 28P01) for database "postgres" (at 127.0.0.1:${server.port}, which DATABASE_URL names); check DATABASE_URL`
        )
      }))

    it.effect("refused for what one variable has names that variable", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const missing = yield* refusal(server.url("scram").replace("/postgres?", "/nowhere?"))
        assert.include(
          missing,
          "database \"nowhere\" does not exist (SQLSTATE 3D000); create it, or correct DATABASE_URL"
        )
        // Its rule demands TLS, which the URL rules out.
        const plain = yield* refusal(server.url("tls_only", "sslmode=disable"))
        assert.include(
          plain,
          "which DATABASE_URL names); check DATABASE_URL, and DATABASE_URL where the rules of the server demand TLS"
        )
        const { hostname, port } = new URL(server.url("scram"))
        const parts = {
          DATABASE_HOST: hostname,
          DATABASE_PORT: port,
          DATABASE_USER: "scram",
          DATABASE_NAME: "nowhere",
          PGPASSWORD: PASSWORD
        }
        const refused = (values: object) =>
          Effect.map(Effect.scoped(Effect.flip(pool({ ...parts, ...values }))), ({ message }) => message)
        assert.include(yield* refused({}), "create it, or correct DATABASE_NAME")
        assert.include(yield* refused({ DATABASE_NAME: "postgres", PGPASSWORD: "wrong" }), "; check PGPASSWORD")
        assert.include(
          yield* refused({ DATABASE_USER: "tls_only", DATABASE_SSLMODE: "disable" }),
          "check DATABASE_USER, and DATABASE_SSLMODE where the rules of the server demand TLS"
        )
      }))

    it.effect("reads a password from the file that PGPASSFILE names where none is set", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const { file } = yield* secretFile
        yield* Effect.promise(() => writeFile(file, `127.0.0.1:${server.port}:*:scram:${PASSWORD}\n`, { mode: 0o600 }))
        yield* setVariable("PGPASSFILE", file)
        const { sql } = yield* pool({ DATABASE_URL: server.url("scram").replace(`:${PASSWORD}@`, "@") })
        assert.deepStrictEqual(yield* sql.unsafe("SELECT current_user::text AS me"), [{ me: "scram" }])
      }))

    it.effect("reads none of libpq's variables with the settings of a host program", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        yield* setVariable("PGOPTIONS", "-c search_path=elsewhere")
        yield* setVariable("PGPASSWORD", PASSWORD)
        const { sql } = yield* pool({ DATABASE_URL: server.url("scram") })
        const [row] = yield* sql.unsafe<{ search_path: string }>("SHOW search_path")
        assert.notInclude(row?.search_path, "elsewhere")
        assert.include(yield* refusal(server.url("scram").replace(`:${PASSWORD}@`, "@")), "set DATABASE_PASSWORD")
      }))

    it.effect("with channel_binding=require uses it, also where sslmode would prefer TLS only", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        for (const sslmode of ["require", "prefer", "allow"]) {
          const it = yield* pool({ DATABASE_URL: server.url("scram", `sslmode=${sslmode}&channel_binding=require`) })
          assert.isTrue(yield* isEncrypted(it))
        }
      }))

    it.effect.each(["trusted", "cleartext", "hashed", "plain_only"] as const)(
      "with channel_binding=require fails at once where the server does not bind the password: %s",
      (role) =>
        Effect.gen(function*() {
          const server = yield* TlsServer
          yield* pool({ DATABASE_URL: server.url(role) })
          const message = yield* refusal(server.url(role, "sslmode=prefer&channel_binding=require"))
          assert.include(message, role === "plain_only" ? "SQLSTATE 28000" : "channel_binding=require")
        })
    )

    it.effect("I7 with channel_binding=require does not send the password to a server that requests it in clear text", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const sent: Array<Buffer> = []
        // Answers the request for TLS with N, and everything after it with AuthenticationCleartextPassword.
        const proxy = yield* listen((socket) =>
          socket.on("data", (bytes) => {
            sent.push(bytes)
            socket.write(bytes.length === SSL_REQUEST_BYTES ? "N" : Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]))
          })
        )
        const message = yield* refusal(server.url("scram", "channel_binding=require", { port: proxy.port }))
        assert.include(message, "does not support SSL")
        assert.include(message, "which DATABASE_URL names); set DATABASE_SSLMODE=disable, or turn TLS on at the server")
        const required = yield* refusal(server.url("scram", "sslmode=require", { port: proxy.port }))
        assert.include(required, "which DATABASE_URL names); set sslmode=disable in DATABASE_URL, or turn TLS on")
        assert.notInclude(Buffer.concat(sent).toString(), PASSWORD)
      }))

    it.effect("tries the other of TLS and plain text where pg_hba.conf accepts only that, in any language of the server", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        assert.isFalse(yield* isEncrypted(yield* pool({ DATABASE_URL: server.url("plain_only", "sslmode=prefer") })))
        assert.isTrue(yield* isEncrypted(yield* pool({ DATABASE_URL: server.url("tls_only", "sslmode=allow") })))
        // As with lc_messages = de: the messages of a server that has only English, translated on their way.
        const [english, german] = ["no pg_hba.conf entry for host", "kein pg_hba.conf-Eintrag fuer"]
        let translated = 0
        const proxy = yield* listen((socket) => {
          const upstream = connect(server.port, "127.0.0.1").on("error", () => {})
          socket.pipe(upstream).on("close", () => socket.destroy())
          upstream.on("data", (bytes) => {
            const at = bytes.indexOf(english!)
            if (at >= 0) translated += bytes.write(german!.padEnd(english!.length), at)
            socket.write(bytes)
          })
        })
        const url = server.url("tls_only", "sslmode=allow", { port: proxy.port })
        assert.isTrue(yield* isEncrypted(yield* pool({ DATABASE_URL: url })))
        assert.isAbove(translated, 0)
      }))

    it.effect("does not go on in plain text where the server refuses the password", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        let connections = 0
        const proxy = yield* listen((socket) => {
          connections += 1
          const upstream = connect(server.port, "127.0.0.1").on("error", () => {})
          socket.pipe(upstream).pipe(socket)
        })
        const url = server.url("scram", "sslmode=prefer", { port: proxy.port }).replace(PASSWORD, "wrong")
        assert.include(yield* refusal(url), "28P01")
        assert.strictEqual(connections, 1)
      }))

    it.effect.each(["verify-ca", "verify-full"])(
      "with %s fails at once where no authority has signed the certificate",
      (mode) =>
        Effect.gen(function*() {
          const server = yield* TlsServer
          assert.match(yield* refusal(server.url("scram", `sslmode=${mode}`)), /certificate/)
          const verified = server.url("scram", `sslmode=${mode}&sslrootcert=${CA}`)
          assert.isTrue(yield* isEncrypted(yield* pool({ DATABASE_URL: verified })))
        })
    )

    it.effect("begins every session with the options of DATABASE_URL", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const { sql } = yield* pool({ DATABASE_URL: server.url("scram", "options=-c%20search_path%3Dchosen") })
        assert.deepStrictEqual(yield* sql.unsafe("SHOW search_path"), [{ search_path: "chosen" }])
      }))

    it.effect("with sslrootcert=system trusts the authorities of SSL_CERT_FILE", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const url = server.url("scram", "sslrootcert=system", { host: "localhost" })
        assert.match(yield* refusal(url), /certificate/)
        yield* setVariable("SSL_CERT_FILE", CA)
        assert.isTrue(yield* isEncrypted(yield* pool({ DATABASE_URL: url })))
        yield* setVariable("SSL_CERT_FILE", "/nowhere/ca.pem")
        assert.include(yield* refusal(url), "SSL_CERT_FILE names a file that cannot be read (ENOENT)")
      }))

    it.effect("with target_session_attrs waits for a session that may write", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        yield* server.query("ALTER ROLE other SET default_transaction_read_only = on")
        yield* Effect.addFinalizer(() => server.query("ALTER ROLE other RESET default_transaction_read_only"))
        yield* pool({ DATABASE_URL: server.url("other", "target_session_attrs=primary") })
        const log = recordedLog()
        const starting = yield* Effect.forkScoped(
          pool({ DATABASE_URL: server.url("other", "target_session_attrs=read-write") }, log)
        )
        yield* eventually("it tries again", Effect.sync(() => log.lines.length > 1))
        assert.include(log.lines[0], "the session is read-only, which target_session_attrs=read-write rules out")
        yield* server.query("ALTER ROLE other RESET default_transaction_read_only")
        yield* Fiber.join(starting).pipe(Effect.timeout("20 seconds"))
      }))

    it.effect.each(["SQL_ASCII", "LATIN1"])(
      "rejects a database with the encoding %s",
      (encoding) =>
        Effect.gen(function*() {
          const server = yield* TlsServer
          const name = `db_${encoding.toLowerCase()}`
          yield* server.query(
            `CREATE DATABASE ${name} ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`
          )
          assert.strictEqual(
            yield* refusal(server.url("scram").replace("/postgres?", `/${name}?`)),
            `PostgreSQL: database ${name} has the encoding ${encoding}, which cannot store every text; ` +
              "use a database that is created by: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
          )
        })
    )

    it.effect("names the address and the port to check where something else than PostgreSQL answers", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        const web = yield* listen((socket) => socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")))
        const log = recordedLog()
        yield* Effect.forkScoped(pool({ DATABASE_URL: server.url("scram", "", { port: web.port }) }, log))
        yield* eventually("it tries again", Effect.sync(() => log.lines.length > 0))
        assert.include(
          log.lines[0],
          `(at 127.0.0.1:${web.port}, which DATABASE_URL names); what answers there may not be PostgreSQL: ` +
            "check the port in DATABASE_URL"
        )
      }))

    it.effect("waits for a pooler that does not know the user yet, and names what to check", () =>
      Effect.gen(function*() {
        const server = yield* TlsServer
        let isKnown = false
        const pooler = yield* listen((socket) => {
          if (isKnown) {
            socket.pipe(connect(server.port, "127.0.0.1").on("error", () => {})).pipe(socket)
          } else {
            socket.on("data", (bytes) => {
              if (bytes.length === SSL_REQUEST_BYTES) socket.write("N")
              else socket.end(errorResponse("XX000", "Tenant or user not found"))
            })
          }
        })
        const log = recordedLog()
        const url = server.url("scram", "sslmode=prefer", { port: pooler.port })
        const starting = yield* Effect.forkScoped(pool({ DATABASE_URL: url }, log))
        yield* eventually("it tries again", Effect.sync(() => log.lines.length > 1))
        assert.include(log.lines[0], "Tenant or user not found (SQLSTATE XX000)")
        assert.include(log.lines[0], "check user and host in DATABASE_URL")
        isKnown = true
        yield* Fiber.join(starting).pipe(Effect.timeout("20 seconds"))
      }))
  })
})

describe("connecting to a standby", () => {
  it.live.each(["primary", "read-write"])(
    "with target_session_attrs=%s waits until it is promoted",
    (attributes) =>
      Effect.gen(function*() {
        const home = yield* temporaryDirectory
        yield* Effect.scoped(startCluster(home))
        yield* Effect.promise(() => writeFile(join(home, "data", "standby.signal"), ""))
        const { database } = yield* startCluster(home)
        const log = recordedLog()
        const url = `${database.url}?target_session_attrs=${attributes}`
        const starting = yield* Effect.forkScoped(pool({ DATABASE_URL: url }, log))
        yield* eventually("it tries again", Effect.sync(() => log.lines.length > 1))
        assert.include(log.lines[0], `the session is a standby, which target_session_attrs=${attributes} rules out`)
        yield* database.query("SELECT pg_promote()")
        yield* Fiber.join(starting).pipe(Effect.timeout("20 seconds"))
      })
  )
})
