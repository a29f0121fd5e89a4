/** Which services of a sync a host program replaces by its own. */
import type { Layer } from "effect"
import type { HttpClient } from "effect/http"
import type { SqlError } from "effect/sql"
import type { AdminApi } from "../services/AdminApi.ts"
import type { Bookkeeping } from "../services/Bookkeeping.ts"
import type { Checkpoints } from "../services/Checkpoints.ts"
import type { ConfigError, DatabaseConfig, SyncConfig } from "../services/Config.ts"
import type { FlightClient } from "../services/FlightClient.ts"
import type { LoadError, ManifestSource } from "../services/ManifestSource.ts"
import type { PgPool } from "../services/PgPool.ts"
import type { SourceHead } from "../services/SourceHead.ts"
import type { StatusRecorder, SyncStatus } from "../services/SyncStatus.ts"
import type { TableIndexes } from "../services/TableIndexes.ts"
import type { TableLeases } from "../services/TableLeases.ts"
import type { TableSink } from "../services/TableSink.ts"

/**
 * Why a sync cannot begin: settings, config file, Admin API or database are not right. A database or a server that is down is
 * waited for instead.
 */
export type StartError = ConfigError | LoadError | SqlError.SqlError

/**
 * Makes the layer of a service from the standard one: on top of it, to observe or change what it does, or without it.
 *
 * It may need what the standard one needs. What else it needs, the host provides to it.
 */
export type Replacement<Service, Needs = never> = (
  standard: Layer.Layer<Service, StartError, Needs>
) => Layer.Layer<Service, StartError, Needs>

/** By service; every other service that needs one of them gets the replacement. */
export interface Replacements {
  readonly AdminApi?: Replacement<AdminApi, HttpClient.HttpClient | SyncConfig> | undefined
  readonly Bookkeeping?: Replacement<Bookkeeping, DatabaseConfig | PgPool | TableLeases> | undefined
  readonly Checkpoints?: Replacement<Checkpoints, DatabaseConfig | PgPool | TableLeases> | undefined
  readonly FlightClient?: Replacement<FlightClient, SyncConfig> | undefined
  readonly ManifestSource?: Replacement<ManifestSource, AdminApi | SyncConfig> | undefined
  readonly PgPool?: Replacement<PgPool> | undefined
  readonly SourceHead?: Replacement<SourceHead, AdminApi | FlightClient> | undefined
  /** One layer for both sides of the status. */
  readonly SyncStatus?: Replacement<StatusRecorder | SyncStatus> | undefined
  readonly TableIndexes?: Replacement<TableIndexes, DatabaseConfig | PgPool | TableLeases> | undefined
  readonly TableLeases?: Replacement<TableLeases, DatabaseConfig | PgPool> | undefined
  readonly TableSink?: Replacement<TableSink, Checkpoints | DatabaseConfig | PgPool | TableLeases> | undefined
}

/** How the layer of a sync differs from the standard one. */
export interface LayerOptions {
  /** Services of the host in the place of standard ones. */
  readonly replace?: Replacements | undefined
}
