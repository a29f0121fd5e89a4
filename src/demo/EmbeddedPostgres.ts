/**
 * A real PostgreSQL server that belongs to this process.
 *
 * Owns the life of one server: it runs while the scope of its layer is open and is gone soon after, however this
 * process ends. It never touches another PostgreSQL of this machine, and knows nothing of the tables of a sync.
 */
import { Context, type Redacted, Schema } from "effect"

/** `detail` is a whole sentence for the operator; it never holds the password. */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>()("EmbeddedPostgresError", {
  operation: Schema.Literals(["locate", "prepare", "start"]),
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `embedded PostgreSQL (${this.operation}): ${this.detail}`
  }
}

export class EmbeddedPostgres extends Context.Service<EmbeddedPostgres, {
  /** `postgresql://user:password@host:port/database`, escaped; anybody who has it is a superuser of this server. */
  readonly url: Redacted.Redacted<string>
  /** Always the loopback address: the server listens nowhere else. */
  readonly host: string
  /** Free at the moment of the start, and another one at the next. */
  readonly port: number
  readonly user: string
  readonly password: Redacted.Redacted<string>
  readonly database: string
  /** The server's own directory (`PGDATA`), an absolute path. */
  readonly dataDirectory: string
}>()("ampsync/demo/EmbeddedPostgres") {}
