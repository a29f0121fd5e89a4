/**
 * The settings, checked as a whole before anything starts: `ConnectionConfig` is about the connections to the
 * target database, `DatabaseConfig` about what is written there, `SyncConfig` about the servers it is filled from.
 *
 * Owns settings only: the config file defines the dataset and its tables (`ManifestSource`). Invariant I7: a secret is
 * `Redacted` here, and no problem that is reported repeats one.
 */
import { Context, type Duration, Effect, type Redacted, Schema } from "effect"
import type { DatasetReference } from "../domain/manifest/Dataset.ts"
import type { DatabaseTarget } from "../domain/settings/DatabaseTarget.ts"

/** What defines the tables to fill. */
export type ManifestOrigin =
  /** A config file; the path is absolute, and the file existed when the settings were read. */
  | { readonly _tag: "File"; readonly path: string }
  /** The settings alone: tables of a dataset as they are; at least one. */
  | { readonly _tag: "Dataset"; readonly reference: DatasetReference; readonly tables: ReadonlyArray<string> }

/** A secret that cannot be read now; its message contains nothing of it. */
export class SecretError extends Schema.TaggedError<SecretError>()("SecretError", {
  variable: Schema.String,
  /** Follows the name of the variable in a sentence: `names a file that cannot be read (ENOENT)`. */
  reason: Schema.String
}) {
  override get message() {
    return `${this.variable} ${this.reason}`
  }
}

/** A secret, read for every connection: a file that contains one may be replaced while the process runs. */
export interface Secret<A> {
  /** The variable that holds the secret, or names its file. */
  readonly variable: string
  /** Whether it is in a file: a server that refuses the secret now may accept the next one. */
  readonly mayChange: boolean
  /** Reads it; never suspends. */
  readonly read: Effect.Effect<A, SecretError>
}

/** Where the target database is, and how many connections are made to it. */
/** By part of the target database: the variable that it comes from, for messages. */
export interface DatabaseOrigins {
  readonly host: string
  readonly user: string
  readonly dbname: string
  readonly sslmode: string
}

export interface ConnectionSettings {
  /** As it was at the start. */
  readonly database: DatabaseTarget
  /** For every connection: user and password may be rotated. */
  readonly databaseNow: Secret<DatabaseTarget>
  readonly origins: DatabaseOrigins
  readonly maxDbConnections: number
}

/** How the target database is written to, also on connections of a host program. */
export interface DatabaseSettings {
  /** The schema of all tables; created when it is missing. */
  readonly databaseSchema: string
  readonly notifyOnCommit: boolean
  /** The publication of the tables; undefined where they are not made for followers of the write-ahead log. */
  readonly publication: string | undefined
  /** Whether a table that is created gets its keys only once it has caught up; `auto` where it has a long history to fill. */
  readonly deferIndexes: "auto" | "always" | "off"
  /** What to do with a NUL character, which PostgreSQL cannot store in a text. */
  readonly textNul: "refuse" | "replace"
}

/** Where the health API listens. */
export interface HealthSettings {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

/** Where one kind of telemetry goes. */
export interface ExportSettings {
  readonly url: URL
  /** The variable that holds the address, and whether it is not set: for messages. */
  readonly variable: string
  readonly interval: Duration.Duration
}

/** Where the spans and the metrics of this process go, and how many of them. */
export interface TelemetrySettings {
  /** Undefined where traces are off. */
  readonly traces: ExportSettings | undefined
  /** Undefined where metrics are off. */
  readonly metrics: ExportSettings | undefined
  readonly protocol: "http/protobuf" | "http/json"
  /** Sent with every export. */
  readonly headers: Secret<Redacted.Redacted<Readonly<Record<string, string>>>> | undefined
  readonly compression: "gzip" | "none"
  readonly timeout: Duration.Duration
  readonly serviceName: string
  readonly attributes: Readonly<Record<string, string>>
  /** Share of the traces that are exported, 0 to 1. */
  readonly sampledRatio: number
}

/** What is read from which server, and how much of it at a time. */
export interface SyncSettings {
  readonly manifest: ManifestOrigin
  /** How often to check for a newer version of a dataset that is named without one; never where undefined. */
  readonly versionPollInterval: Duration.Duration | undefined
  /** `http` is plaintext HTTP/2, `https` TLS; no path. */
  readonly flightAddr: URL
  readonly adminAddr: URL
  /** Sent as a bearer token to both addresses. */
  readonly authToken: Secret<Redacted.Redacted<string>> | undefined
  readonly grpcMaxDecodeBytes: number
  /** How often a Flight connection with a call on it is pinged; never where undefined. */
  readonly pingInterval: Duration.Duration | undefined
  /** Chunks in flight over all tables. */
  readonly maxConcurrentBatches: number
  /** Blocks of history in which every watermark is kept. */
  readonly retentionBlocks: number
  /** What to do when the server serves another chain. */
  readonly onChainReset: "park" | "resync"
  /** The tables are synced all together, and only while no other process writes one of them. */
  readonly standby: boolean
  /** Blocks on top of a range before its rows are written, for tables whose config has no number of its own. */
  readonly confirmations: number
  /** Memory of all rows that wait for confirmations. */
  readonly confirmationsMaxBytes: number
  /** Undefined where it is off. */
  readonly health: HealthSettings | undefined
  /** Undefined where it is off. */
  readonly telemetry: TelemetrySettings | undefined
}

/** One setting that cannot be used. */
export const ConfigProblem = Schema.Struct({
  variable: Schema.String,
  /** Follows the name in a sentence: `is not set`, `is "7x"`. Of a secret it has only the kind of problem. */
  found: Schema.String,
  allowed: Schema.String
})

export type ConfigProblem = typeof ConfigProblem.Type

/** Settings that cannot be used: all problems at once. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  problems: Schema.Array(ConfigProblem)
}) {
  override get message() {
    const lines = this.problems.map(({ allowed, found, variable }) => `  - ${variable} ${found}; allowed: ${allowed}`)
    return ["Invalid configuration:", ...lines].join("\n")
  }
}

/** How to connect to the target database. */
export class ConnectionConfig extends Context.Service<ConnectionConfig, ConnectionSettings>()(
  "ampsync/services/Config/ConnectionConfig"
) {}

/** What is written to the target database. */
export class DatabaseConfig extends Context.Service<DatabaseConfig, DatabaseSettings>()(
  "ampsync/services/Config/DatabaseConfig"
) {}

/** The servers that the target database is filled from. */
export class SyncConfig extends Context.Service<SyncConfig, SyncSettings>()("ampsync/services/Config/SyncConfig") {}

/** `schema "..." of database "..." at host:port`: where the tables are, for messages. */
export const databasePlace: Effect.Effect<string, never, ConnectionConfig | DatabaseConfig> = Effect.gen(function*() {
  const { databaseSchema } = yield* DatabaseConfig
  const { database: { database, host, port } } = yield* ConnectionConfig
  return `schema "${databaseSchema}" of database "${database}" at ${host}:${port}`
})
