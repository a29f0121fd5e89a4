/**
 * `ConnectionConfig`, `DatabaseConfig` and `SyncConfig` from the environment of the process, from another ConfigProvider, or
 * from the values of a host program.
 *
 * The same rules hold for every source: all problems are reported in one error, and ignored settings are logged as warnings.
 */
import { Context, Duration, Effect, Layer, Result } from "effect"
import { both, decodeSettings, type Problems } from "../domain/settings/decode.ts"
import { defaultLogFilter, type LogFilter } from "../domain/settings/logFilter.ts"
import type { LogFormat } from "../domain/settings/logFormat.ts"
import {
  ConfigError,
  ConnectionConfig,
  type ConnectionSettings,
  DatabaseConfig,
  type DatabaseSettings,
  type HealthSettings,
  SyncConfig,
  type SyncSettings
} from "../services/Config.ts"
import { databaseOrigins, databaseSecret, readDatabase } from "./config/database.ts"
import { readOrigin } from "./config/origin.ts"
import { secretFrom } from "./config/secretFile.ts"
import { readTelemetry } from "./config/telemetry.ts"
import {
  fromProvider,
  fromValues,
  type Gathered,
  inOrder,
  readSecretFiles,
  type SettingValues,
  type Texts
} from "./config/variables.ts"
import { configWarnings } from "./config/warnings.ts"

const bytesPerMebibyte = 1024 * 1024

/** Decodes some settings. `given` has the paths of secret files, `texts` also their contents. */
type Read<A> = (texts: Texts, given: Texts) => Effect.Effect<Result.Result<A, Problems>>

const readConnectionSettings: Read<ConnectionSettings> = Effect.fnUntraced(function*(texts, given) {
  const decoded = decodeSettings(["MAX_DB_CONNECTIONS"], texts)
  return Result.map(both(yield* readDatabase(texts), decoded), ([database, settings]) => ({
    database,
    databaseNow: databaseSecret(given, texts),
    origins: databaseOrigins(texts),
    maxDbConnections: settings.MAX_DB_CONNECTIONS
  }))
})

const databaseSettings = [
  "DATABASE_SCHEMA",
  "NOTIFY_ON_COMMIT",
  "CDC_READY",
  "CDC_PUBLICATION",
  "DEFER_INDEXES",
  "TEXT_NUL"
] as const

const readDatabaseSettings: Read<DatabaseSettings> = (texts) =>
  Effect.succeed(Result.map(decodeSettings(databaseSettings, texts), (settings) => ({
    databaseSchema: settings.DATABASE_SCHEMA,
    notifyOnCommit: settings.NOTIFY_ON_COMMIT,
    publication: publicationOf(settings.CDC_READY, settings.CDC_PUBLICATION),
    deferIndexes: settings.DEFER_INDEXES,
    textNul: settings.TEXT_NUL
  })))

/** Electric's own publication. Source: ElectricSQL, docs "PostgreSQL Permissions". */
const publicationOf = (cdcReady: "off" | "electric" | "logical", named: string | undefined): string | undefined => {
  if (cdcReady === "off") return undefined
  return named ?? (cdcReady === "electric" ? "electric_publication_default" : "ampsync")
}

const readSyncSettings: Read<SyncSettings> = Effect.fnUntraced(function*(texts) {
  const decoded = decodeSettings([
    "VERSION_POLL_INTERVAL_SECS",
    "AMP_FLIGHT_ADDR",
    "AMP_ADMIN_API_ADDR",
    "AMP_AUTH_TOKEN",
    "GRPC_MAX_DECODE_MB",
    "GRPC_PING_INTERVAL_SECS",
    "MAX_CONCURRENT_BATCHES",
    "RETENTION_BLOCKS",
    "ON_CHAIN_RESET",
    "STANDBY",
    "CONFIRMATIONS",
    "CONFIRMATIONS_MAX_MB",
    "HEALTH_PORT",
    "HEALTH_HOST"
  ], texts)
  const others = both(yield* readOrigin(texts), readTelemetry(texts))
  return Result.map(both(others, decoded), ([[manifest, telemetry], settings]) => ({
    manifest,
    versionPollInterval: secondsOrNever(settings.VERSION_POLL_INTERVAL_SECS),
    flightAddr: settings.AMP_FLIGHT_ADDR,
    adminAddr: settings.AMP_ADMIN_API_ADDR,
    authToken: secretFrom("AMP_AUTH_TOKEN", texts),
    grpcMaxDecodeBytes: settings.GRPC_MAX_DECODE_MB * bytesPerMebibyte,
    pingInterval: secondsOrNever(settings.GRPC_PING_INTERVAL_SECS),
    maxConcurrentBatches: settings.MAX_CONCURRENT_BATCHES,
    retentionBlocks: settings.RETENTION_BLOCKS,
    onChainReset: settings.ON_CHAIN_RESET,
    standby: settings.STANDBY,
    confirmations: settings.CONFIRMATIONS,
    confirmationsMaxBytes: settings.CONFIRMATIONS_MAX_MB * bytesPerMebibyte,
    health: settings.HEALTH_PORT === undefined
      ? undefined
      : { host: settings.HEALTH_HOST, port: settings.HEALTH_PORT },
    telemetry
  }))
})

const secondsOrNever = (seconds: number | undefined): Duration.Duration | undefined =>
  seconds === undefined || seconds === 0 ? undefined : Duration.seconds(seconds)

/** Reads the settings of `read`, and those of the log, which every verb has; logs a warning for each ignored one. */
const readSettings = Effect.fnUntraced(
  function*<A>({ problems: unread, texts: given, typos }: Gathered, read: Read<A>) {
    const { problems: inFiles, texts } = yield* readSecretFiles(given)
    const known = [...unread, ...inFiles]
    const settings = both(yield* read(texts, given), decodeSettings(["RUST_LOG", "LOG_FORMAT"], texts))
    const decoded = Result.isFailure(settings) ? settings.failure : []
    // A variable that could not be read must not be reported as missing too.
    const problems = inOrder([
      ...known,
      ...decoded.filter(({ variable }) => known.every((_) => _.variable !== variable))
    ])
    if (Result.isFailure(settings) || problems.length > 0) {
      // A missing variable may be set under a misspelled name.
      const suggestions = typos.map(({ didYouMean, name }) => (
        { variable: name, found: "is no setting", allowed: `${didYouMean}, if that is meant` }
      ))
      return yield* new ConfigError({ problems: [...problems, ...suggestions] })
    }
    const [values, { RUST_LOG }] = settings.success
    yield* Effect.forEach(configWarnings(texts, typos, RUST_LOG), (warning) => Effect.logWarning(warning), {
      discard: true
    })
    return values
  }
)

/** The settings of `read` as a service. */
const asService = <I, A>(service: Context.Key<I, A>, read: Read<A>): Read<Context.Context<I>> => (texts, given) =>
  Effect.map(read(texts, given), Result.map((settings) => Context.make(service, settings)))

/** The services of both; reports the problems of both. */
const combine = <A, B>(
  first: Read<Context.Context<A>>,
  second: Read<Context.Context<B>>
): Read<Context.Context<A | B>> =>
  Effect.fnUntraced(function*(texts, given) {
    const read = both(yield* first(texts, given), yield* second(texts, given))
    return Result.map(read, ([some, others]) => Context.merge(some, others))
  })

const database = asService(DatabaseConfig, readDatabaseSettings)
const connectedDatabase = combine(asService(ConnectionConfig, readConnectionSettings), database)
const sync = asService(SyncConfig, readSyncSettings)

/** The services of all settings. */
export type Settings = ConnectionConfig | DatabaseConfig | SyncConfig

/** Reads the current ConfigProvider, which is the environment of the process unless a program provides another one. */
export const layer: Layer.Layer<Settings, ConfigError> = Layer.effectContext(
  Effect.flatMap(fromProvider, (gathered) => readSettings(gathered, combine(connectedDatabase, sync)))
)

/** As `layer`, for the target database alone: the other variables may be invalid or missing. */
export const databaseLayer: Layer.Layer<ConnectionConfig | DatabaseConfig, ConfigError> = Layer.effectContext(
  Effect.flatMap(fromProvider, (gathered) => readSettings(gathered, connectedDatabase))
)

/** Reads the settings of the server alone: the other variables may be invalid or missing. */
export const serverSettings: Effect.Effect<Pick<SyncSettings, "adminAddr" | "authToken">, ConfigError> = Effect.flatMap(
  fromProvider,
  (gathered) =>
    readSettings(gathered, (texts) =>
      Effect.succeed(
        Result.map(decodeSettings(["AMP_ADMIN_API_ADDR", "AMP_AUTH_TOKEN"], texts), ({ AMP_ADMIN_API_ADDR }) => ({
          adminAddr: AMP_ADMIN_API_ADDR,
          authToken: secretFrom("AMP_AUTH_TOKEN", texts)
        }))
      ))
)

/** Reads where a process on this machine serves its health endpoints: the other variables may be invalid or missing. */
export const healthSettings: Effect.Effect<HealthSettings, ConfigError> = Effect.flatMap(
  fromProvider,
  (gathered) =>
    readSettings(
      gathered,
      (texts) =>
        Effect.succeed(Result.flatMap(decodeSettings(["HEALTH_HOST", "HEALTH_PORT"], texts), (settings) => {
          const { HEALTH_HOST: host, HEALTH_PORT: port } = settings
          if (port !== undefined && port > 0) return Result.succeed({ host, port })
          return Result.fail([{
            variable: "HEALTH_PORT",
            found: port === undefined ? "is not set" : "is 0, which is another port at each start",
            allowed: "the port that the process serves its health endpoints on"
          }])
        }))
    )
)

/** Uses the values of a host program, with the names and rules of the environment; reads no environment. */
export const layerFrom = (values: SettingValues): Layer.Layer<Settings, ConfigError> =>
  Layer.effectContext(Effect.suspend(() => readSettings(fromValues(values), combine(connectedDatabase, sync))))

/** As `layerFrom`, for the target database alone: the other values may be invalid or missing. */
export const databaseLayerFrom = (values: SettingValues): Layer.Layer<ConnectionConfig | DatabaseConfig, ConfigError> =>
  Layer.effectContext(Effect.suspend(() => readSettings(fromValues(values), connectedDatabase)))

type DatabaseVariable = Extract<keyof SettingValues, `DATABASE_${string}` | `PG${string}` | "MAX_DB_CONNECTIONS">

/** The values of a host program that connects to the database itself: none of them is about a connection. */
export type UnconnectedValues = Omit<SettingValues, Exclude<DatabaseVariable, "DATABASE_SCHEMA">>

/** As `layerFrom`, for a host program that connects to the database itself. */
export const layerFromUnconnected = (
  values: UnconnectedValues
): Layer.Layer<Exclude<Settings, ConnectionConfig>, ConfigError> =>
  Layer.effectContext(Effect.suspend(() => readSettings(fromValues(values), combine(database, sync))))

/** The settings of the log in the current ConfigProvider; the default where one is invalid, which the other layers report. */
export const logSettings: Effect.Effect<{ readonly filter: LogFilter; readonly format: LogFormat | undefined }> = Effect
  .map(fromProvider, ({ texts }) => ({
    filter: Result.match(decodeSettings(["RUST_LOG"], texts), {
      onSuccess: ({ RUST_LOG }) => RUST_LOG,
      onFailure: () => defaultLogFilter
    }),
    format: Result.match(decodeSettings(["LOG_FORMAT"], texts), {
      onSuccess: ({ LOG_FORMAT }) => LOG_FORMAT,
      onFailure: () => undefined
    })
  }))

export type { SettingValues }
