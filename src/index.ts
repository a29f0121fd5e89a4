/**
 * What a host Effect app imports: `import { layer, SyncStatus } from "ampsync"`.
 *
 * `layer` takes its settings from the ConfigProvider in force, which is the environment unless the app gives another one;
 * `layerWithSettings` takes those that `settingsFrom` makes of values, `layerWithPool` database connections of the app too.
 */
export {
  type DatabaseOptions,
  type DatabaseParts,
  type DatabaseSsl,
  type DatabaseTarget,
  databaseTargetFromParts,
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
export type { LogFilter, LogFilterLevel } from "./domain/logFilter.ts"
export type { Manifest } from "./domain/Manifest.ts"
export type { TableSettings } from "./domain/TableSettings.ts"
export type { TableSpec } from "./domain/TableSpec.ts"
export { VERSION } from "./domain/version.ts"
export {
  layer,
  layerWithPool,
  layerWithSettings,
  type Services,
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
export {
  type Advance,
  Checkpoints,
  type Claim,
  Fenced,
  TableHeld,
  type TableIdentity,
  TableRefused,
  type TableState
} from "./services/Checkpoints.ts"
export { AmpsyncConfig, type AmpsyncSettings, ConfigError, type ConfigProblem } from "./services/Config.ts"
export { FlightClient, FlightError, type StreamRequest } from "./services/FlightClient.ts"
export { type LoadError, ManifestError, ManifestSource } from "./services/ManifestSource.ts"
export { PgPool } from "./services/PgPool.ts"
export {
  type Head,
  type HeadReport,
  SourceHead,
  SourceHeadError,
  type SourceHeadReason
} from "./services/SourceHead.ts"
export { type Phase, SyncStatus, type TableStatus } from "./services/SyncStatus.ts"
export { type IndexEvent, TableIndexes, type WantedIndexes } from "./services/TableIndexes.ts"
export { type Committed, type TableRequest, TableSink, type TableWriter } from "./services/TableSink.ts"
