/**
 * What a host program imports: a layer that syncs for as long as it lives, `changes` to react to its commits, `SyncStatus` to read
 * how it is, the errors with which it may fail to begin, and `rewind`, `resync` and `resyncOnline`, which operators do to a table.
 *
 * `layer` has its settings from the environment, `layerWithSettings` from values, `layerFromPool` from values and its database
 * connections from the app.
 *
 * @module ampsync
 */
export type { Watermark } from "./domain/chain/watermarks.ts"
export { lagBlocks } from "./domain/lag.ts"
export type { LastReorg } from "./domain/lastReorgs.ts"
export type { AppliedReorg, HeldFigures, SourceHeadBlock, StageTimes } from "./domain/StatusEvent.ts"
export type { TableBaseline, TableChange, TableCommit } from "./domain/TableChange.ts"
export { type Phase, phases, type TablePhase } from "./domain/TablePhase.ts"
export type { AttemptError, TableStatus } from "./domain/TableStatus.ts"
export type { ThroughputReport, ThroughputSample } from "./domain/Throughput.ts"
export { VERSION } from "./domain/version.ts"
export {
  layer,
  layerFromPool,
  layerWith,
  layerWithSettings,
  type SettingValues,
  type StartError,
  type UnconnectedValues
} from "./programs/ampsync.ts"
export { type OperationError, type OperationOptions, resync, resyncOnline, rewind } from "./programs/operations.ts"
export type { LayerOptions, Replacement, Replacements } from "./programs/Replacements.ts"
export { ResyncFailed } from "./programs/verbs/resync.ts"
export { OnlineResyncFailed } from "./programs/verbs/resync/resyncOnline.ts"
export { OnlineResyncUnknown } from "./programs/verbs/resync/settle.ts"
export { AdminApiError, type AdminApiReason } from "./services/AdminApi.ts"
export { ConfigError, type ConfigProblem } from "./services/Config.ts"
export type { HostPool, HostPoolOptions } from "./services/HostPool.ts"
export { ManifestError } from "./services/ManifestSource.ts"
export {
  changes,
  ChangesMissed,
  type PermitsStatus,
  type ReloadStatus,
  SyncStatus,
  type SyncThroughput
} from "./services/SyncStatus.ts"
export type { Replaced } from "./services/TableExchange.ts"
export { TableHeld, TableRejected } from "./services/TableLeases.ts"
export type { Rewound } from "./services/TableSink.ts"
