/**
 * What a host Effect app imports: `import { layer, SyncStatus } from "ampsync"`.
 *
 * `layer` takes its settings from the ConfigProvider in force, which is the environment unless the app gives another one;
 * `layerWithSettings` takes those that `settingsFrom` makes of values, `layerWithPool` database connections of the app too.
 */
export {
  type DatabaseOptions,
  type DatabaseParameters,
  type DatabaseSsl,
  type DatabaseTarget,
  databaseTargetFromParameters,
  databaseTargetFromUrl,
  type InvalidDatabaseTarget,
  type SslMode
} from "./domain/DatabaseTarget.ts"
export type { DatasetReference } from "./domain/Dataset.ts"
export {
  defineDataset,
  type DefinitionContext,
  type DefinitionFunction,
  type FunctionSource
} from "./domain/defineDataset.ts"
export {
  type Abi,
  type AbiEvent,
  type AbiParameter,
  camelToSnake,
  eventQuery,
  type EventTable,
  eventTable,
  eventTableName,
  eventTables
} from "./domain/eventTables.ts"
export type { Manifest } from "./domain/Manifest.ts"
export type { Phase, TablePhase } from "./domain/TablePhase.ts"
export type { TableSettings } from "./domain/TableSettings.ts"
export type { TableSpec } from "./domain/TableSpec.ts"
export { lagBlocks, type SourceHeadBlock, type StatusEvent, type TableStatus } from "./domain/TableStatus.ts"
export { VERSION } from "./domain/version.ts"
export {
  layer,
  layerWithPool,
  layerWithSettings,
  type Services,
  type Settings,
  settingsFrom,
  type SettingValues
} from "./programs/ampsync.ts"
export {
  AdminApi,
  AdminApiError,
  type AdminApiReason,
  type DatasetInfo,
  type DatasetTable
} from "./services/AdminApi.ts"
export { Bookkeeping } from "./services/Bookkeeping.ts"
export { Checkpoints } from "./services/Checkpoints.ts"
export {
  ConfigError,
  type ConfigProblem,
  DatabaseConfig,
  type DatabaseSettings,
  SyncConfig,
  type SyncSettings
} from "./services/Config.ts"
export { FlightClient, FlightError, type FlightStream, type StreamRequest } from "./services/FlightClient.ts"
export { type LoadError, ManifestError, ManifestSource } from "./services/ManifestSource.ts"
export { IndexRowTooLarge, type PgAnswer, type PgPipeline, PgPool, type PgResult } from "./services/PgPool.ts"
export {
  type Head,
  type HeadReport,
  SourceHead,
  SourceHeadError,
  type SourceHeadReason
} from "./services/SourceHead.ts"
export { type ReloadStatus, SyncStatus } from "./services/SyncStatus.ts"
export { type FullIndex, type IndexEvent, TableIndexes, type WantedIndexes } from "./services/TableIndexes.ts"
export { Fenced, TableHeld, TableLeases, TableRefused } from "./services/TableLeases.ts"
export {
  type ChunkTransactions,
  type Committed,
  RowTooLargeForIndex,
  TableChanged,
  type TableRequest,
  TableSink,
  type TableWriter,
  type WriteError
} from "./services/TableSink.ts"
