/**
 * `AmpsyncConfig` from the environment of the process, from another ConfigProvider, or from the values of a host program.
 *
 * Whatever the source, the same rules hold, and all problems are told in one error.
 */
import { Duration, Effect, Layer, Redacted, Result } from "effect"
import { defaultNamespace } from "../domain/Dataset.ts"
import { defaultLogFilter, logLevels, parseLogFilter } from "../domain/logFilter.ts"
import {
  bearerToken,
  datasetReference,
  httpAddress,
  integerBetween,
  oneOf,
  type Parsed,
  quoted,
  schemaName,
  tableNames,
  trueOrFalse
} from "../domain/setting.ts"
import {
  AmpsyncConfig,
  type AmpsyncSettings,
  ConfigError,
  type ConfigProblem,
  type ManifestOrigin
} from "../services/Config.ts"
import { databaseSecret, readDatabase } from "./config/database.ts"
import { ignoredRemarks } from "./config/libpq.ts"
import { checkManifestPath } from "./config/manifestPath.ts"
import { secretFrom } from "./config/secretFile.ts"
import {
  fromProvider,
  fromValues,
  type Gathered,
  readSecretFiles,
  type SettingValues,
  type Slip,
  slipsInEnvironment,
  type Texts,
  type Variable
} from "./config/variables.ts"

const bytesPerMebibyte = 1024 * 1024

/** Reads single variables and remembers what was wrong with them. */
class Reader {
  readonly problems: Array<ConfigProblem>
  readonly texts: Texts

  constructor({ problems, texts }: Gathered) {
    this.problems = [...problems]
    this.texts = texts
  }

  /** The fallback also stands in for a bad value: a problem ends the start anyway. */
  read<A>(variable: Variable, parse: (text: string) => Parsed<A>, fallback: A): A {
    const text = this.texts[variable]
    if (text === undefined) return fallback
    return this.take(variable, parse(text)) ?? fallback
  }

  take<A>(variable: Variable, parsed: Parsed<A>): A | undefined {
    if (Result.isSuccess(parsed)) return parsed.success
    this.report(variable, parsed.failure.found, parsed.failure.allowed)
    return undefined
  }

  /** What is reported already is not reported again. */
  takeAll<A>(read: Result.Result<A, ReadonlyArray<ConfigProblem>>): A | undefined {
    if (Result.isSuccess(read)) return read.success
    const known = new Set(this.problems.map(({ variable }) => variable))
    this.problems.push(...read.failure.filter(({ variable }) => !known.has(variable)))
    return undefined
  }

  report(variable: Variable, found: string, allowed: string): void {
    this.problems.push({ variable, found, allowed })
  }
}

type ReadOrigin = (reader: Reader) => Effect.Effect<ManifestOrigin | undefined>

/** A config file, or a dataset with the names of its tables: exactly one of the two. */
const readOrigin = Effect.fnUntraced(function*(reader: Reader): Effect.fn.Return<ManifestOrigin | undefined> {
  const { DATASET, DATASET_MANIFEST: file, TABLES } = reader.texts
  if (file !== undefined) {
    for (const variable of ["DATASET", "TABLES"] as const) {
      if (reader.texts[variable] === undefined) continue
      reader.report(
        variable,
        "is set together with DATASET_MANIFEST",
        "DATASET_MANIFEST, or DATASET together with TABLES"
      )
    }
    const path = reader.take("DATASET_MANIFEST", yield* checkManifestPath(file))
    return path === undefined ? undefined : { _tag: "File", path }
  }
  if (DATASET === undefined && TABLES === undefined) {
    reader.report(
      "DATASET_MANIFEST",
      "is not set",
      "the path of the config file (ts, js, mts, mjs or json), or DATASET together with TABLES"
    )
    return undefined
  }
  return readDataset(reader, DATASET, TABLES)
})

const readDataset = (reader: Reader, dataset?: string, list?: string): ManifestOrigin | undefined => {
  if (dataset === undefined) reader.report("DATASET", "is not set", "[namespace/]name[@revision], beside TABLES")
  if (list === undefined) reader.report("TABLES", "is not set", "names of tables, separated by commas, beside DATASET")
  const reference = dataset === undefined ? undefined : reader.take("DATASET", datasetReference(dataset))
  const tables = list === undefined ? undefined : reader.take("TABLES", tableNames(list))
  return reference === undefined || tables === undefined ? undefined : { _tag: "Dataset", reference, tables }
}

const readDecodeMebibytes = (reader: Reader): number => {
  const { AMPSYNC_GRPC_MAX_DECODE_MB: synonym, GRPC_MAX_DECODE_MB: name } = reader.texts
  if (name !== undefined && synonym !== undefined && name !== synonym) {
    reader.report("GRPC_MAX_DECODE_MB", "differs from AMPSYNC_GRPC_MAX_DECODE_MB", "one of the two, or the same value")
  }
  const variable = name === undefined ? "AMPSYNC_GRPC_MAX_DECODE_MB" : "GRPC_MAX_DECODE_MB"
  return reader.read(variable, integerBetween(1, 512), 32)
}

const readToken = (reader: Reader): AmpsyncSettings["authToken"] => {
  const { AMP_AUTH_TOKEN: text, AMP_AUTH_TOKEN_FILE: path } = reader.texts
  if (text === undefined) return undefined
  reader.take(path === undefined ? "AMP_AUTH_TOKEN" : "AMP_AUTH_TOKEN_FILE", bearerToken(text))
  const place = { name: "AMP_AUTH_TOKEN", text, path }
  return secretFrom(place, (text) => Result.map(bearerToken(text), (token) => Redacted.make(token)))
}

const logFilter = (text: string) =>
  Result.mapError(parseLogFilter(text), (problem) => ({
    found: `is ${quoted(text)} and ${problem}`,
    allowed: `${logLevels.join(", ")}, or a list such as info,ampsync=debug`
  }))

/** Of whoever works on a table without asking what fills it. */
const noOrigin: ManifestOrigin = {
  _tag: "Dataset",
  reference: { namespace: defaultNamespace, name: "", revision: undefined },
  tables: []
}

const settingsFrom = Effect.fnUntraced(function*(
  gathered: Gathered,
  origin: ReadOrigin,
  slips: ReadonlyArray<Slip> = []
) {
  const reader = new Reader(yield* readSecretFiles(gathered))
  const manifest = yield* origin(reader)
  const database = reader.takeAll(yield* readDatabase(reader.texts))
  const authToken = readToken(reader)
  const pollSeconds = reader.read<number | undefined>(
    "VERSION_POLL_INTERVAL_SECS",
    integerBetween(1, 86_400),
    undefined
  )
  const pingSeconds = reader.read("GRPC_PING_INTERVAL_SECS", integerBetween(0, 86_400), 60)
  const settings: Omit<AmpsyncSettings, "database" | "databaseNow" | "manifest" | "remarks"> = {
    versionPollInterval: pollSeconds === undefined ? undefined : Duration.seconds(pollSeconds),
    databaseSchema: reader.read("DATABASE_SCHEMA", schemaName, "public"),
    flightAddr: reader.read("AMP_FLIGHT_ADDR", httpAddress, new URL("http://localhost:1602")),
    adminAddr: reader.read("AMP_ADMIN_API_ADDR", httpAddress, new URL("http://localhost:1610")),
    authToken,
    grpcMaxDecodeBytes: readDecodeMebibytes(reader) * bytesPerMebibyte,
    pingInterval: pingSeconds === 0 ? undefined : Duration.seconds(pingSeconds),
    maxConcurrentBatches: reader.read("MAX_CONCURRENT_BATCHES", integerBetween(1, 1000), 10),
    maxDbConnections: reader.read("MAX_DB_CONNECTIONS", integerBetween(2, 1000), 10),
    retentionBlocks: reader.read("RETENTION_BLOCKS", integerBetween(64, undefined), 128),
    onChainReset: reader.read("ON_CHAIN_RESET", oneOf("park", "resync"), "park"),
    notifyOnCommit: reader.read("NOTIFY_ON_COMMIT", trueOrFalse, true),
    textNul: reader.read("TEXT_NUL", oneOf("refuse", "replace"), "refuse"),
    log: reader.read("RUST_LOG", logFilter, defaultLogFilter)
  }
  const remarks = [
    ...slips.map(({ meant, name }) => `The environment variable ${name} is ignored; did you mean ${meant}?`),
    ...ignoredRemarks(reader.texts),
    ...(settings.log.ignored ?? []).map((part) =>
      `RUST_LOG: ${quoted(part)} is ignored: no target has this name. Separate parts with commas: info,ampsync=debug`
    )
  ]
  if (manifest === undefined || database === undefined || reader.problems.length > 0) {
    // What is missing may be there under another name.
    for (const { meant, name } of slips) {
      reader.problems.push({ variable: name, found: "is no setting", allowed: `${meant}, if that is meant` })
    }
    return yield* new ConfigError({ problems: reader.problems })
  }
  return AmpsyncConfig.of({
    ...settings,
    remarks,
    manifest,
    database,
    databaseNow: databaseSecret(gathered, reader.texts)
  })
})

const fromEnvironment = Effect.fnUntraced(function*(origin: ReadOrigin) {
  return yield* settingsFrom(yield* fromProvider, origin, yield* slipsInEnvironment)
})

/** Reads the ConfigProvider in force, which is the environment of the process unless a program gives another one. */
export const layer: Layer.Layer<AmpsyncConfig, ConfigError> = Layer.effect(
  AmpsyncConfig,
  fromEnvironment(readOrigin)
)

/** As `layer` for whoever does not ask what fills the tables: `manifest` names none, and its variables may be wrong or absent. */
export const layerWithoutManifest: Layer.Layer<AmpsyncConfig, ConfigError> = Layer.effect(
  AmpsyncConfig,
  fromEnvironment(() => Effect.succeed(noOrigin))
)

/** Takes the values of a host program, under the names and rules of the environment, and reads nothing from it. */
export const layerFrom = (values: SettingValues): Layer.Layer<AmpsyncConfig, ConfigError> =>
  Layer.effect(AmpsyncConfig, Effect.suspend(() => settingsFrom(fromValues(values), readOrigin)))

export type { SettingValues }
