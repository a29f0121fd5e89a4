/**
 * The list of all settings, in the order of the documentation: names, defaults, meanings and accepted values.
 *
 * Decoding, messages, the command line and docs/configuration.md are all derived from it.
 */
import { MAX_CONFIRMATIONS } from "../manifest/TableSettings.ts"
import { urlForm } from "./database/databaseUrl.ts"
import {
  defaultApplicationName,
  defaultConnectTimeoutSeconds,
  defaultHost,
  defaultPort,
  defaultSslMode,
  sslModes
} from "./database/target.ts"
import { logFormats } from "./logFormat.ts"
import type { Setting, Verb } from "./Setting.ts"
import { telemetrySettings } from "./telemetrySettings.ts"
import {
  bearerToken,
  datasetReference,
  httpAddress,
  logFilter,
  oneOf,
  publicationName,
  schemaName,
  tableNames,
  text,
  trueOrFalse,
  wholeNumber
} from "./values.ts"

const withDatabase: ReadonlyArray<Verb> = [
  "sync",
  "plan",
  "resync",
  "rewind",
  "status",
  "grants",
  "doctor",
  "verify",
  "publish"
]
const withConfig: ReadonlyArray<Verb> = ["sync", "plan", "grants", "doctor", "verify"]

const dataset = { section: "dataset", verbs: withConfig } as const
const database = { section: "database", verbs: withDatabase } as const
const server = { section: "server", verbs: withConfig } as const
const writing = { section: "writing", verbs: withDatabase } as const
const limits = { section: "limits", verbs: withConfig } as const
const health = { section: "health", verbs: [...withConfig, "health"] } as const
const libpq = { section: "libpq", verbs: withDatabase } as const

export const settings = {
  DATASET_MANIFEST: {
    ...dataset,
    ...text("the path of the config file (ts, js, mts, mjs or json), or DATASET together with TABLES"),
    whenUnset: "required without DATASET and TABLES",
    description: "Path of the config file, a .ts, .js, .mts, .mjs or .json file."
  },
  DATASET: {
    ...dataset,
    ...datasetReference,
    whenUnset: "required without DATASET_MANIFEST",
    description:
      "Dataset whose tables are filled as they are, without a config file: namespace/name@version, or name alone."
  },
  TABLES: {
    ...dataset,
    ...tableNames,
    whenUnset: "required with DATASET",
    description: "Names of the tables of DATASET to fill, separated by commas."
  },
  VERSION_POLL_INTERVAL_SECS: {
    ...dataset,
    ...wholeNumber(1, 86_400),
    whenUnset: "not polled",
    description: "Seconds between two checks for a newly published version of the datasets that are named without one."
  },
  DATABASE_URL: {
    ...database,
    ...text(urlForm),
    fromFile: true,
    whenUnset: "required without DATABASE_USER and DATABASE_NAME",
    description: "Connection URL of the target database; it takes precedence over the variables for its parts."
  },
  DATABASE_USER: {
    ...database,
    ...text("the name of a role"),
    parameter: "user",
    whenUnset: "required without DATABASE_URL",
    description: "Role to connect as, where there is no DATABASE_URL."
  },
  DATABASE_NAME: {
    ...database,
    ...text("the name of a database"),
    parameter: "dbname",
    whenUnset: "required without DATABASE_URL",
    description: "Name of the target database, where there is no DATABASE_URL."
  },
  DATABASE_PASSWORD: {
    ...database,
    ...text("a password"),
    fromFile: true,
    parameter: "password",
    whenUnset: "none",
    description: "Password, taken literally; also for a DATABASE_URL that contains none."
  },
  DATABASE_HOST: {
    ...database,
    ...text("one host name, one address, or the absolute directory of a Unix socket"),
    parameter: "host",
    default: defaultHost,
    description: "Host name, address, or absolute directory of a Unix socket, where there is no DATABASE_URL."
  },
  DATABASE_PORT: {
    ...database,
    ...wholeNumber(1, 65_535),
    parameter: "port",
    default: String(defaultPort),
    description: "TCP port, where there is no DATABASE_URL."
  },
  DATABASE_SSLMODE: {
    ...database,
    ...text(sslModes.join(", ")),
    parameter: "sslmode",
    default: defaultSslMode,
    description:
      "TLS mode with libpq's meanings, from disable to verify-full; also for a DATABASE_URL that contains none."
  },
  DATABASE_SSLROOTCERT: {
    ...database,
    ...text("the path of a readable PEM file, or system"),
    parameter: "sslrootcert",
    whenUnset: "none",
    description: "PEM file of the trusted authorities, or system; also for a DATABASE_URL that contains none."
  },
  DATABASE_SCHEMA: {
    ...database,
    ...schemaName,
    default: "public",
    description: "Schema that all tables live in; it is created when it is missing."
  },
  MAX_DB_CONNECTIONS: {
    ...database,
    ...wholeNumber(2, 1000),
    default: "10",
    description: "Largest number of connections in the database pool."
  },
  AMP_FLIGHT_ADDR: {
    ...server,
    ...httpAddress,
    default: "http://localhost:1602",
    description: "Address of the Arrow Flight server; http is plaintext, https is TLS."
  },
  AMP_ADMIN_API_ADDR: {
    ...server,
    verbs: [...withConfig, "init"],
    ...httpAddress,
    default: "http://localhost:1610",
    description: "Address of the Admin API; http is plaintext, https is TLS."
  },
  AMP_AUTH_TOKEN: {
    ...server,
    verbs: [...withConfig, "init"],
    ...bearerToken,
    fromFile: true,
    whenUnset: "none",
    description: "Bearer token that is sent to both addresses."
  },
  GRPC_MAX_DECODE_MB: {
    ...server,
    ...wholeNumber(1, 512),
    // The name that the present upstream gives to the same setting.
    alias: "AMPSYNC_GRPC_MAX_DECODE_MB",
    default: "32",
    description: "Largest Flight message that is accepted, in MiB."
  },
  GRPC_PING_INTERVAL_SECS: {
    ...server,
    ...wholeNumber(0, 86_400),
    default: "60",
    description:
      "Seconds between two pings of an open Flight stream, at least 330 once a peer answered too_many_pings; 0 turns pings off."
  },
  MAX_CONCURRENT_BATCHES: {
    ...limits,
    ...wholeNumber(1, 1000),
    default: "10",
    description:
      "Largest number of transactions that all tables write at the same time; each may take some 8 MB of memory."
  },
  RETENTION_BLOCKS: {
    ...limits,
    ...wholeNumber(64),
    default: "128",
    description: "Number of newest blocks for which every watermark is kept."
  },
  ON_CHAIN_RESET: {
    ...limits,
    ...oneOf("park", "resync"),
    default: "park",
    description:
      "Reaction to a server that turns out to have another chain: park stops the table, resync rebuilds it (for development)."
  },
  CONFIRMATIONS: {
    ...limits,
    ...wholeNumber(0, MAX_CONFIRMATIONS),
    default: "0",
    description:
      "Number of blocks that must be on top of rows before they are written, for tables whose config has no number of its own."
  },
  CONFIRMATIONS_MAX_MB: {
    ...limits,
    ...wholeNumber(1, 65_536),
    default: "64",
    description: "Memory in MiB for the rows of all tables that wait for confirmations."
  },
  STANDBY: {
    ...limits,
    ...trueOrFalse,
    default: "false",
    description:
      "Whether this process waits, ready to take over, while another one writes any of its tables; then it takes all of them."
  },
  NOTIFY_ON_COMMIT: {
    ...writing,
    ...trueOrFalse,
    default: "true",
    description: "Whether each commit sends one NOTIFY on the channel ampsync."
  },
  CDC_READY: {
    ...writing,
    ...oneOf("off", "electric", "logical"),
    default: "off",
    description:
      "Whether tables are made for followers of the write-ahead log: ElectricSQL, or any subscriber of logical replication."
  },
  CDC_PUBLICATION: {
    ...writing,
    ...publicationName,
    whenUnset: "electric_publication_default with CDC_READY=electric, else ampsync",
    description: "Publication that CDC_READY adds the tables to; created where it is missing."
  },
  DEFER_INDEXES: {
    ...writing,
    ...oneOf("auto", "always", "off"),
    default: "auto",
    description:
      "Whether a new table gets its primary key and indexes only once it has caught up: auto with 10,000 blocks or more to fill and CDC_READY=off."
  },
  TEXT_NUL: {
    ...writing,
    ...oneOf("refuse", "replace"),
    default: "refuse",
    description:
      "Reaction to a NUL character, which PostgreSQL cannot store in a text: refuse parks the table, replace stores U+FFFD."
  },
  HEALTH_PORT: {
    ...health,
    ...wholeNumber(0, 65_535),
    whenUnset: "off",
    description:
      "TCP port of the status page and the HTTP endpoints for probes; 0 takes a free one, which the log names."
  },
  HEALTH_HOST: {
    ...health,
    ...text("a host name or an address of this machine"),
    default: "0.0.0.0",
    description: "Address that HEALTH_PORT is opened on; 127.0.0.1 for this machine alone."
  },
  ...telemetrySettings,
  RUST_LOG: {
    section: "logging",
    verbs: [...withDatabase, "init", "health"],
    ...logFilter,
    default: "info",
    description:
      "Lowest level of log lines: off, error, warn, info, debug or trace; a list such as ampsync=debug,warn works too."
  },
  LOG_FORMAT: {
    section: "logging",
    verbs: [...withDatabase, "init", "health", "simulate", "demo"],
    ...oneOf(...logFormats),
    whenUnset: "pretty on a terminal, logfmt elsewhere",
    description: "Format of log lines: pretty for people, logfmt or json (one object per line) for programs."
  },
  PGHOST: {
    ...libpq,
    ...text("a host"),
    parameter: "host",
    whenUnset: "none",
    description: "Host, where neither DATABASE_URL nor DATABASE_HOST contains one."
  },
  PGPORT: {
    ...libpq,
    ...wholeNumber(1, 65_535),
    parameter: "port",
    whenUnset: "none",
    description: "TCP port, where neither DATABASE_URL nor DATABASE_PORT contains one."
  },
  PGUSER: {
    ...libpq,
    ...text("the name of a role"),
    parameter: "user",
    whenUnset: "none",
    description: "Role, where neither DATABASE_URL nor DATABASE_USER contains one."
  },
  PGDATABASE: {
    ...libpq,
    ...text("the name of a database"),
    parameter: "dbname",
    whenUnset: "none",
    description: "Database, where neither DATABASE_URL nor DATABASE_NAME contains one."
  },
  PGPASSWORD: {
    ...libpq,
    ...text("a password"),
    parameter: "password",
    whenUnset: "none",
    description: "Password, where neither DATABASE_URL nor DATABASE_PASSWORD contains one."
  },
  PGSSLMODE: {
    ...libpq,
    ...text(sslModes.join(", ")),
    parameter: "sslmode",
    whenUnset: "none",
    description: "TLS mode, where neither DATABASE_URL nor DATABASE_SSLMODE contains one."
  },
  PGSSLROOTCERT: {
    ...libpq,
    ...text("the path of a readable PEM file, or system"),
    parameter: "sslrootcert",
    whenUnset: "none",
    description:
      "PEM file of the trusted authorities, where neither DATABASE_URL nor DATABASE_SSLROOTCERT contains one."
  },
  PGSSLCERT: {
    ...libpq,
    ...text("the path of a readable PEM file"),
    parameter: "sslcert",
    whenUnset: "none",
    description: "PEM file of the client certificate, where DATABASE_URL contains none."
  },
  PGSSLKEY: {
    ...libpq,
    ...text("the path of a readable PEM file"),
    parameter: "sslkey",
    whenUnset: "none",
    description: "PEM file of the client key, where DATABASE_URL contains none."
  },
  PGAPPNAME: {
    ...libpq,
    ...text("a name"),
    parameter: "application_name",
    whenUnset: defaultApplicationName,
    description: "Name of the connections in pg_stat_activity, where DATABASE_URL contains none."
  },
  PGCONNECT_TIMEOUT: {
    ...libpq,
    ...wholeNumber(0, 999_999_999),
    parameter: "connect_timeout",
    whenUnset: String(defaultConnectTimeoutSeconds),
    description: "Seconds to wait for a connection, 0 without end, where DATABASE_URL contains none."
  },
  PGOPTIONS: {
    ...libpq,
    ...text("command line options of the server"),
    parameter: "options",
    whenUnset: "none",
    description:
      "Command line options for the session, such as -c statement_timeout=0, where DATABASE_URL contains none."
  },
  PGTARGETSESSIONATTRS: {
    ...libpq,
    ...text("any, read-write or primary"),
    parameter: "target_session_attrs",
    whenUnset: "any",
    description: "Which session is acceptable (any, read-write or primary), where DATABASE_URL contains none."
  },
  PGCHANNELBINDING: {
    ...libpq,
    ...text("disable, prefer or require"),
    parameter: "channel_binding",
    whenUnset: "not required",
    description:
      "Whether the password proof is bound to the server's certificate (disable, prefer or require), where DATABASE_URL contains none."
  }
} as const satisfies Readonly<Record<string, Setting>>

type Settings = typeof settings

export type SettingName = keyof Settings

/** The settings whose value may be in a file. */
export type SecretName = { [N in SettingName]: Settings[N] extends { fromFile: true } ? N : never }[SettingName]

type Alias = { [N in SettingName]: Settings[N] extends { alias: infer A extends string } ? A : never }[SettingName]

/** Every variable that is read. */
export type Variable = SettingName | `${SecretName}_FILE` | Alias

export const settingNames = Object.keys(settings) as ReadonlyArray<SettingName>

/** One setting without the type of its value; `settings` has the types. */
export const settingOf = (name: SettingName): Setting => settings[name]

export const secretNames = settingNames.filter((name): name is SecretName => settingOf(name).fromFile === true)

/** The variables of one setting: its own name, the one for a file, and another name. */
export const variablesOf = (name: SettingName): ReadonlyArray<Variable> => {
  const { alias, fromFile } = settingOf(name)
  const names = [name, fromFile === true ? `${name}_FILE` : undefined, alias]
  return names.filter((variable): variable is Variable => variable !== undefined)
}
