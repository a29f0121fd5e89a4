/** A `pg` client that enforces the settings of the connection. */
import { Effect, Redacted, Result } from "effect"
import type { EventEmitter } from "node:events"
import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"
import pg from "pg"
import passwordFromFile from "pgpass"
import type { DatabaseTarget } from "../../domain/settings/DatabaseTarget.ts"
import type { ConnectionSettings } from "../../services/Config.ts"
import { connectFailure, type ConnectProgress, UnsuitableSession } from "./connectFailure.ts"

/** Parts of `pg` that its types lack. Source: pg, lib/client.js and lib/connection.js. */
interface Internals {
  readonly connection: EventEmitter & { readonly stream: Socket }
  readonly connectionParameters: { options: string | undefined; replication: string | undefined }
}

type Settings = Pick<ConnectionSettings, "database" | "databaseNow" | "origins">
type Done = (cause?: Error | null) => void

/**
 * The client of `pg` for one server: reads user and password again for every connection, enforces `channel_binding` and
 * `target_session_attrs`, and fails with a `SqlError` that names the variable to check.
 */
export const clientFor = (settings: Settings): typeof pg.Client => {
  const { database, databaseNow } = settings
  const { channelBinding, targetSessionAttrs } = database.options ?? {}

  return class Client extends pg.Client {
    private readonly progress: { -readonly [K in keyof ConnectProgress]: ConnectProgress[K] } = {
      refusedTls: false,
      askedToAuthenticate: false
    }
    private offersBinding = false
    private provedBinding = false

    constructor(config: pg.ClientConfig) {
      const now = Effect.runSync(Effect.result(databaseNow.read))
      const { password, user } = Result.isSuccess(now) ? now.success : database
      super({
        ...config,
        user,
        enableChannelBinding: channelBinding === "require",
        password: async () => {
          if (Result.isFailure(now)) throw now.failure
          if (channelBinding === "require" && !this.offersBinding) throw new UnsuitableSession(NOT_BOUND)
          return (password === undefined ? await fromFile({ ...database, user }) : Redacted.value(password)) as string
        }
      } as pg.ClientConfig)
      // The pool listens only once a connection is made.
      this.on("error", () => {})
      const { connection, connectionParameters } = this as unknown as Internals
      // `pg` falls back to variables of the environment, which only the settings may read.
      connectionParameters.options = database.options?.options
      connectionParameters.replication = undefined
      if (config.ssl !== false) {
        connection.stream.once("data", (answer: Buffer) => this.progress.refusedTls = answer[0] === REFUSES_TLS)
      }
      for (const event of ["authenticationCleartextPassword", "authenticationMD5Password", "authenticationSASL"]) {
        connection.on(event, () => this.progress.askedToAuthenticate = true)
      }
      connection.on("authenticationSASL", ({ mechanisms }: { readonly mechanisms: ReadonlyArray<string> }) => {
        this.offersBinding = connection.stream instanceof TLSSocket && mechanisms.includes("SCRAM-SHA-256-PLUS")
      })
      // `pg` verifies its content and fails where it is wrong.
      connection.on("authenticationSASLFinal", () => this.provedBinding = this.offersBinding)
    }

    /** In the only form that the pool uses. */
    override connect: pg.Client["connect"] = ((done: Done): void => {
      const fail = (cause: unknown): void =>
        done(
          connectFailure(
            cause,
            this.progress,
            settings,
            this.isEncrypted
          )
        )
      super.connect((cause: Error | null) => {
        if (cause != null) return fail(cause)
        this.checkSession().then(() => done(null), (cause: unknown) => {
          this.end(() => {})
          fail(cause)
        })
      })
    }) as pg.Client["connect"]

    private get isEncrypted(): boolean {
      return (this as unknown as Internals).connection.stream instanceof TLSSocket
    }

    /** Rejects a session that is not what the settings ask for. */
    private async checkSession(): Promise<void> {
      if (channelBinding === "require" && !this.provedBinding) throw new UnsuitableSession(NOT_BOUND)
      if (targetSessionAttrs === undefined || targetSessionAttrs === "any") return
      const { rows: [session] } = await this.query(
        "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only')::boolean AS \"readOnly\""
      )
      if (session.standby === true || (targetSessionAttrs === "read-write" && session.readOnly === true)) {
        const found = session.standby === true ? "a standby" : "read-only"
        throw new UnsuitableSession(
          `the session is ${found}, which target_session_attrs=${targetSessionAttrs} rules out`,
          true
        )
      }
    }
  }
}

/** The answer `N` to the request for TLS. Source: PostgreSQL, "Message Flow", section "SSL Session Encryption". */
const REFUSES_TLS = 0x4e

const NOT_BOUND =
  "channel_binding=require, but the server does not bind the password to its certificate; it needs TLS and " +
  "a password stored as scram-sha-256, without a pooler that ends TLS"

const fromFile = (info: DatabaseTarget): Promise<string | undefined> =>
  new Promise((resolve) => passwordFromFile(info, resolve))
