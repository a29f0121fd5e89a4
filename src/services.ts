/**
 * The services of a sync: their tags, errors and contracts, for hosts that replace one, or put one of their own on top of it.
 *
 * What a contract demands is in its documentation, and its tests are in the repository. Contracts may change with a minor version.
 *
 * @module ampsync/services
 */
export type { ArrowField, ArrowSchema, ArrowType, TimeUnit } from "./domain/arrow/ArrowSchema.ts"
export type { Column, ColumnBatch } from "./domain/arrow/ColumnBatch.ts"
export type { RecordedTable, TableIdentity, TableOwner } from "./domain/bookkeeping/TableIdentity.ts"
export type { PreviousHolder, WriterLease } from "./domain/bookkeeping/WriterLease.ts"
export type { BlockRange, Cursor } from "./domain/chain/BlockRange.ts"
export type { Checkpoint } from "./domain/chain/Checkpoint.ts"
export type { Chunk, ReorgRecord } from "./domain/chain/Chunk.ts"
export type { Verdict } from "./domain/chain/FollowState.ts"
export type { Head, HeadReport } from "./domain/chain/sourceHead.ts"
export type { History, Watermark } from "./domain/chain/watermarks.ts"
export type { FlightData } from "./domain/flight/FlightData.ts"
export type { DatasetReference, Dialect } from "./domain/manifest/Dataset.ts"
export type { Manifest } from "./domain/manifest/Manifest.ts"
export type { TableSettings } from "./domain/manifest/TableSettings.ts"
export type { TableSpec } from "./domain/manifest/TableSpec.ts"
export type { EncodeError } from "./domain/postgres/encode/EncodeError.ts"
export type { Output } from "./domain/postgres/encode/FieldWriter.ts"
export type { BoundBatch, RowEncoder, WrittenRows } from "./domain/postgres/encode/RowEncoder.ts"
export type { RowCursor, RowSpan } from "./domain/postgres/encode/RowNumbering.ts"
export type { TableSource } from "./domain/postgres/table/designTable.ts"
export type { PartitionBounds } from "./domain/postgres/table/partitions.ts"
export type { TableColumn, TableDefinition } from "./domain/postgres/table/tableDdl.ts"
export type { ExistingIndex, IndexPlan } from "./domain/postgres/table/tableIndexes.ts"
export type { ColumnOverride, NumericDigits, OverrideType } from "./domain/postgres/types/columnOverride.ts"
export type { DatabaseOptions, DatabaseSsl, SslMode } from "./domain/settings/database/target.ts"
export type { DatabaseTarget } from "./domain/settings/DatabaseTarget.ts"
export type { StreamingQuery } from "./domain/sql/streamingQuery.ts"
export type { TransactionMode } from "./domain/sql/transaction.ts"
export type { CommittedEvent, StatusEvent } from "./domain/StatusEvent.ts"
export type { PhaseEvent } from "./domain/TablePhase.ts"
export {
  AdminApi,
  AdminApiError,
  type AdminApiReason,
  type DatasetInfo,
  type DatasetTable
} from "./services/AdminApi.ts"
export { Bookkeeping, type ReloadReport, type TableState } from "./services/Bookkeeping.ts"
export { type Advance, type AdvanceStatement, Checkpoints, type StoredCheckpoint } from "./services/Checkpoints.ts"
export {
  ConnectionConfig,
  type ConnectionSettings,
  DatabaseConfig,
  type DatabaseOrigins,
  type DatabaseSettings,
  type ExportSettings,
  type HealthSettings,
  type ManifestOrigin,
  type Secret,
  SecretError,
  SyncConfig,
  type SyncSettings,
  type TelemetrySettings
} from "./services/Config.ts"
export { FlightClient, FlightError, type FlightStream, type StreamRequest } from "./services/FlightClient.ts"
export { type LoadError, ManifestError, ManifestSource } from "./services/ManifestSource.ts"
export {
  type Guards,
  type PgAnswer,
  type PgPipeline,
  PgPool,
  type PgResult,
  type RunStatement,
  type SendOptions
} from "./services/PgPool.ts"
export { SourceHead, SourceHeadError, type SourceHeadReason } from "./services/SourceHead.ts"
export { type ActiveConfigStatus, type PermitsInUse, StatusRecorder, SyncStatus } from "./services/SyncStatus.ts"
export {
  type FullIndex,
  type IndexEvent,
  type IndexLock,
  TableIndexes,
  type WantedIndexes,
  type WhileAtRest
} from "./services/TableIndexes.ts"
export { Fenced, type Opening, TableHeld, TableLeases, TableRejected } from "./services/TableLeases.ts"
export {
  type ChunkTransactions,
  type Committed,
  type Emptying,
  type MadePartitions,
  type Rewound,
  RowTooLargeForIndex,
  TableChanged,
  type TablePartitions,
  type TablePlan,
  type TableRequest,
  TableSink,
  type TableWriter,
  type WriteError
} from "./services/TableSink.ts"
