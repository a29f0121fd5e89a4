/**
 * The root: every service with its layer, and the sync that runs on them. The one place where layers meet.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Cause, Effect, Layer, Metric } from "effect"
import * as log from "../domain/logLines.ts"
import { layer as adminApi } from "../layers/AdminApi.ts"
import { layer as bookkeeping } from "../layers/Bookkeeping.ts"
import { layer as checkpoints } from "../layers/Checkpoints.ts"
import {
  layer as configFromEnvironment,
  layerFrom as configFrom,
  layerFromUnconnected as configUnconnected,
  type Settings,
  type SettingValues,
  type UnconnectedValues
} from "../layers/Config.ts"
import { layer as flightClient } from "../layers/FlightClient.ts"
import { layer as manifestSource } from "../layers/ManifestSource.ts"
import { layer as pgPool, layerFromPool as pgPoolFrom } from "../layers/PgPool.ts"
import { layer as sourceHead } from "../layers/SourceHead.ts"
import { layer as syncStatus } from "../layers/SyncStatus.ts"
import { layer as tableExchange } from "../layers/TableExchange.ts"
import { layer as tableIndexes } from "../layers/TableIndexes.ts"
import { layer as tableLeases } from "../layers/TableLeases.ts"
import { layer as tableSink } from "../layers/TableSink.ts"
import type { AdminApi } from "../services/AdminApi.ts"
import type { Bookkeeping } from "../services/Bookkeeping.ts"
import type { Checkpoints } from "../services/Checkpoints.ts"
import { type ConnectionConfig, DatabaseConfig, SyncConfig } from "../services/Config.ts"
import type { FlightClient } from "../services/FlightClient.ts"
import type { HostPool, HostPoolOptions } from "../services/HostPool.ts"
import { ManifestSource } from "../services/ManifestSource.ts"
import type { PgPool } from "../services/PgPool.ts"
import type { SourceHead } from "../services/SourceHead.ts"
import { StatusRecorder, SyncStatus } from "../services/SyncStatus.ts"
import type { TableExchange } from "../services/TableExchange.ts"
import type { TableIndexes } from "../services/TableIndexes.ts"
import type { TableLeases } from "../services/TableLeases.ts"
import type { TableSink } from "../services/TableSink.ts"
import type { LayerOptions, Replacement, Replacements, StartError } from "./Replacements.ts"
import { trackPending, trackPendingLayer } from "./timeLimit.ts"
import { prepare, run } from "./verbs/sync.ts"

export type { SettingValues, StartError, UnconnectedValues }

/** All services of a sync. */
export type Services =
  | AdminApi
  | Bookkeeping
  | Checkpoints
  | FlightClient
  | ManifestSource
  | PgPool
  | SourceHead
  | StatusRecorder
  | SyncStatus
  | TableIndexes
  | TableLeases
  | TableSink

/** Fails where the config file is wrong, even while the database is down: the error must not wait for a connection. */
const readableConfig = Layer.effectDiscard(Effect.gen(function*() {
  const { manifest } = yield* SyncConfig
  if (manifest._tag === "File") yield* trackPending("config file")((yield* ManifestSource).load)
}))

/** The standard layer of a service, or that of the host on top of it. */
const layerOf = <Service, E extends StartError, Needs>(
  standard: Layer.Layer<Service, E, Needs>,
  replace: Replacement<Service, Needs> | undefined
): Layer.Layer<Service, StartError, Needs> => replace === undefined ? standard : replace(standard)

/** What needs no database: a config that is code is evaluated while the pool connects. */
const servicesWithoutPool = (replace: Replacements) =>
  Layer.merge(readableConfig, layerOf(sourceHead, replace.SourceHead)).pipe(
    Layer.provideMerge(layerOf(manifestSource, replace.ManifestSource)),
    Layer.provideMerge(
      Layer.mergeAll(
        layerOf(adminApi, replace.AdminApi),
        layerOf(flightClient, replace.FlightClient),
        layerOf(syncStatus, replace.SyncStatus)
      )
    ),
    Layer.provide(NodeHttpClient.layerNodeHttp)
  )

const sink = (replace: Replacements) =>
  Layer.merge(layerOf(tableSink, replace.TableSink), layerOf(tableIndexes, replace.TableIndexes)).pipe(
    Layer.provideMerge(
      Layer.merge(layerOf(bookkeeping, replace.Bookkeeping), layerOf(checkpoints, replace.Checkpoints))
    ),
    Layer.provideMerge(layerOf(tableLeases, replace.TableLeases))
  )

/** All services on a pool and on settings that come from elsewhere; what needs one that is replaced gets the replacement. */
const servicesOn = <R>(
  pool: Layer.Layer<PgPool, StartError, R>,
  replace: Replacements = {}
): Layer.Layer<Services, StartError, R | Exclude<Settings, ConnectionConfig>> =>
  Layer.merge(servicesWithoutPool(replace), Layer.provideMerge(sink(replace), pool))

/** A replacement gets a pool that needs nothing, as one of a host is. */
const ownPool = ({ PgPool: replace }: Replacements): Layer.Layer<PgPool, StartError, ConnectionConfig> =>
  replace === undefined ? pgPool : Layer.unwrap(
    Effect.map(
      Effect.context<ConnectionConfig>(),
      (settings) => replace(Layer.provide(pgPool, Layer.succeedContext(settings)))
    )
  )

const ownServices = (replace: Replacements) => servicesOn(trackPendingLayer("database", ownPool(replace)), replace)

/** All services on settings that come from elsewhere. */
export const services: Layer.Layer<Services, StartError, Settings> = ownServices({})

/** What resyncs a table while it is read, on all services. */
export const exchangeServices: Layer.Layer<Services | TableExchange, StartError, Settings> = Layer.provideMerge(
  tableExchange,
  services
)

/**
 * The services that write tables into another schema, on the connections of these. Nothing there is published or notified, and
 * nothing exports their metrics.
 */
export const servicesIn = (databaseSchema: string) =>
  Layer.fresh(
    Layer.merge(sink({}), syncStatus).pipe(
      Layer.provideMerge(
        Layer.effect(
          DatabaseConfig,
          Effect.map(DatabaseConfig, (settings) => ({
            ...settings,
            databaseSchema,
            publication: undefined,
            notifyOnCommit: false,
            // A concurrent build waits for every older transaction, which may be one of a reader.
            deferIndexes: "off" as const
          }))
        )
      ),
      Layer.provide(Layer.succeed(Metric.MetricRegistry, new Map()))
    )
  )

/** Reports a sync that ends by itself in the log and the status: a host app does not wait for its end. */
const reportEnd = Effect.fnUntraced(function*(cause: Cause.Cause<never>) {
  if (Cause.hasInterruptsOnly(cause)) return
  const status = yield* StatusRecorder
  yield* Effect.logError(log.syncEnded, cause)
  yield* status.parkAll("the sync ended by itself; see the log")
})

/** The sync in the background for as long as the layer lives, on services and settings that come from elsewhere. */
const background = Layer.effect(
  SyncStatus,
  Effect.gen(function*() {
    const manifest = yield* prepare
    yield* Effect.forkScoped(Effect.tapCause(run(manifest), reportEnd))
    return yield* SyncStatus
  })
)

/** A sync with services of its own: an app may have several, and what is equal among their layers is not shared. */
const syncOn = <R>(services: Layer.Layer<Services, StartError, R>) => Layer.fresh(Layer.provide(background, services))

/** As `layer`, with services of the app in the place of standard ones. */
export const layerWith = ({ replace = {} }: LayerOptions): Layer.Layer<SyncStatus, StartError> =>
  Layer.provide(syncOn(ownServices(replace)), configFromEnvironment)

/** The sync as a part of a larger app, for as long as the layer lives, with settings of the current ConfigProvider. */
export const layer: Layer.Layer<SyncStatus, StartError> = layerWith({})

/** As `layer`, with settings from values, under the names and rules of the environment, which is not read. */
export const layerWithSettings = (
  values: SettingValues,
  { replace = {} }: LayerOptions = {}
): Layer.Layer<SyncStatus, StartError> => Layer.provide(syncOn(ownServices(replace)), configFrom(values))

/**
 * As `layerWithSettings`, on database connections of the app, whose pool stays open at the end.
 *
 * A sync takes connections of the pool as it needs them, and makes a few beside it for what takes long: one at all times, and
 * one per table that waits for a lock or builds an index.
 */
export const layerFromPool = (
  pool: HostPool,
  values: UnconnectedValues,
  { replace = {}, ...options }: HostPoolOptions & LayerOptions = {}
): Layer.Layer<SyncStatus, StartError> =>
  Layer.provide(
    syncOn(servicesOn(layerOf(pgPoolFrom(pool, options), replace.PgPool), replace)),
    configUnconnected(values)
  )
