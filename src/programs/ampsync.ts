/**
 * The root: every service with its layer, and the sync that runs on them. The one place where layers meet.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Cause, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql"
import * as log from "../domain/logLines.ts"
import { layer as adminApi } from "../layers/AdminApi.ts"
import { layer as bookkeeping } from "../layers/Bookkeeping.ts"
import { layer as checkpoints } from "../layers/Checkpoints.ts"
import { layer as configFromEnvironment } from "../layers/Config.ts"
import { layer as flightClient } from "../layers/FlightClient.ts"
import { layer as manifestSource } from "../layers/ManifestSource.ts"
import { layer as pgPool } from "../layers/PgPool.ts"
import { layer as sourceHead } from "../layers/SourceHead.ts"
import { layer as syncStatus } from "../layers/SyncStatus.ts"
import { layer as tableIndexes } from "../layers/TableIndexes.ts"
import { layer as tableLeases } from "../layers/TableLeases.ts"
import { layer as tableSink } from "../layers/TableSink.ts"
import type { AdminApi } from "../services/AdminApi.ts"
import type { Bookkeeping } from "../services/Bookkeeping.ts"
import type { Checkpoints } from "../services/Checkpoints.ts"
import { type ConfigError, type DatabaseConfig, SyncConfig } from "../services/Config.ts"
import type { FlightClient } from "../services/FlightClient.ts"
import { type LoadError, ManifestSource } from "../services/ManifestSource.ts"
import type { PgPool } from "../services/PgPool.ts"
import type { SourceHead } from "../services/SourceHead.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import type { TableIndexes } from "../services/TableIndexes.ts"
import type { TableLeases } from "../services/TableLeases.ts"
import type { TableSink } from "../services/TableSink.ts"
import { answerOf, layerAnsweredBy } from "./inTime.ts"
import { prepare, run } from "./sync.ts"

/** Settings from values, under the names and rules of the environment. */
export { layerFrom as settingsFrom, type SettingValues } from "../layers/Config.ts"

export type Services =
  | AdminApi
  | Bookkeeping
  | Checkpoints
  | FlightClient
  | ManifestSource
  | PgPool
  | SourceHead
  | SyncStatus
  | TableIndexes
  | TableLeases
  | TableSink

/** What `settingsFrom` makes of values. */
export type Settings = DatabaseConfig | SyncConfig

/** Fails where the config file is wrong, whatever else is not there yet: nobody should wait for a database to be told. */
const readableConfig = Layer.effectDiscard(Effect.gen(function*() {
  const { manifest } = yield* SyncConfig
  if (manifest._tag === "File") yield* answerOf("config file")((yield* ManifestSource).load)
}))

/** What needs no database: a config that is code is evaluated while the pool connects. */
const servicesWithoutPool = Layer.merge(readableConfig, sourceHead).pipe(
  Layer.provideMerge(manifestSource),
  Layer.provideMerge(Layer.mergeAll(adminApi, flightClient, syncStatus)),
  Layer.provide(NodeHttpClient.layerNodeHttp)
)

const sink = Layer.merge(tableSink, tableIndexes).pipe(
  Layer.provideMerge(Layer.merge(bookkeeping, checkpoints)),
  Layer.provideMerge(tableLeases)
)

/** Everything but settings and connections to the database, which a host may have already. */
const servicesWithPool: Layer.Layer<Exclude<Services, PgPool>, LoadError, Settings | PgPool> = Layer.merge(
  servicesWithoutPool,
  sink
)

/** All services on settings that come from elsewhere. */
export const services: Layer.Layer<Services, LoadError | SqlError.SqlError, Settings> = Layer.merge(
  servicesWithoutPool,
  sink.pipe(Layer.provideMerge(layerAnsweredBy("database", pgPool)))
)

/** Nobody waits for the sync in a host app: should it ever end by itself, the log and the status must say so. */
const reportEnd = Effect.fnUntraced(function*(cause: Cause.Cause<never>) {
  if (Cause.hasInterruptsOnly(cause)) return
  const status = yield* SyncStatus
  yield* Effect.logError(log.syncEnded, cause)
  for (const table of (yield* status.get).keys()) {
    yield* status.record(table, { _tag: "Parked", reason: "the sync ended by itself; see the log" })
  }
})

const background = Layer.effectDiscard(
  Effect.flatMap(prepare, (manifest) => Effect.forkScoped(Effect.tapCause(run(manifest), reportEnd)))
)

/** As `layer`, with settings of the app: `settingsFrom` makes them. */
export const layerWithSettings: Layer.Layer<Services, LoadError | SqlError.SqlError, Settings> = background.pipe(
  Layer.provideMerge(services)
)

/**
 * The sync as a part of a larger app: it runs for as long as the layer lives, and `SyncStatus` tells what it does.
 *
 * Settings come from the environment. Building fails where settings, config file or database are not right.
 */
export const layer: Layer.Layer<
  Services | Settings,
  ConfigError | LoadError | SqlError.SqlError
> = layerWithSettings.pipe(
  Layer.provideMerge(configFromEnvironment)
)

/** As `layer`, with settings and database connections of the app. */
export const layerWithPool: Layer.Layer<
  Exclude<Services, PgPool>,
  LoadError | SqlError.SqlError,
  Settings | PgPool
> = background.pipe(Layer.provideMerge(servicesWithPool))
