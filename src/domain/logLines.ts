/**
 * The log lines operators watch: an interface, kept word for word.
 *
 * Each is a function of what it reports, so that no call site words one a second time.
 */
import { Duration } from "effect"
import type { BlockRange } from "./chain/BlockRange.ts"
import type { TableProgress } from "./display/TableProgress.ts"
import { lagBlocks } from "./lag.ts"
import { type DatasetReference, formatDatasetReference } from "./manifest/Dataset.ts"
import { formatRoughly } from "./numbers.ts"
import { columnList } from "./postgres/table/tableDdl.ts"
import { INDEX_ROOM } from "./postgres/table/tableIndexes.ts"
import type { TableStatus } from "./TableStatus.ts"

export { shutdownComplete, signalReceived } from "./stopLines.ts"

export const starting = "Starting ampsync with hot-reload support..."
/** `v` is for a version. What names none is followed by `version`, where it is known which is the newest. */
const versioned = (name: string, revision: string | undefined, version: string | undefined) =>
  revision === undefined
    ? `${name}, newest version${version === undefined ? "" : ` (v${version})`}`
    : /^\d+\./.test(revision)
    ? `${name} v${revision}`
    : `${name}@${revision}`
export const loadedManifest = (name: string, revision: string | undefined) =>
  `Loaded manifest: ${versioned(name, revision, undefined)}`
export const pollsInVain =
  "VERSION_POLL_INTERVAL_SECS has no effect, because every dataset is named with its version; name one without it to follow new versions"
export const withoutAdminApi = (reason: string) =>
  `${reason}; going on without it. Until the Admin API answers at AMP_ADMIN_API_ADDR, names and versions of datasets are not ` +
  "checked, networks come from the streams, and the lag behind the source may be unknown"
export const adminApiAnswers = (dataset: string, version: string | undefined) =>
  `The Admin API answers for dataset ${dataset}: ${version === undefined ? "not published" : `version ${version}`}`
/** `answer` is the HTTP status and the server's code, where an answer came. */
export const schemaNotFetched = (dataset: string, answer: string, detail: string) =>
  `Failed to fetch schema from admin-api: ${answer === "" ? "" : `${answer} for `}dataset "${dataset}": ${detail}`
/** A config's own dataset is needed for nothing but its name. */
export const unpublished = (reason: string) =>
  `${reason}; going on, as the queries of the config need only the datasets that they name`
/** Of the config's own dataset: its tables that the config does not sync. */
export const notInConfig = (table: string) =>
  `Schema mismatch: table '${table}' exists in admin-api schema but not in local config; it is not synced`
export const notOverFlight = (dataset: string, reason: string) =>
  `Dataset "${dataset}" cannot be read over Flight either: ${reason}`
export const unlisted = (table: string, dataset: string) =>
  `Table '${table}' is not a table of dataset ${dataset}; its columns come from the query`
export const connected = (address: URL) => `Connected to Nozzle server at ${address.origin}`
/** What failed, and how long it is until the next attempt. */
export const tryingAgain = (reason: string, delay: Duration.Duration) =>
  `${reason}; trying again in ${Number(Duration.toSeconds(delay).toPrecision(2))} s`
/** `origin` is what names the database, where `reason` does not. */
export const databaseUnreachable = (reason: string, origin: string | undefined, delay: Duration.Duration) =>
  tryingAgain(
    `Database connection failed: ${reason}; check that it answers there${origin === undefined ? "" : ` (${origin})`}`,
    delay
  )
/** A request that is not answered, but not given up yet; `limit` is when it will be. */
export const stillWaiting = (what: string, elapsedMillis: number, limit: Duration.Duration | undefined) =>
  `Still waiting after ${Math.round(elapsedMillis / 1000)} s for ${what}` +
  (limit === undefined ? "" : `; this attempt ends after ${Duration.toSeconds(limit)} s, and the next one follows`)
export const heartbeatMissing = (database: string, reason: string) =>
  `The heartbeat of this process is not recorded by ${database}: ${reason}. Without one for six seconds another process may ` +
  "take over its tables; trying again every 2 s"
export const heartbeatRecorded = "The heartbeat of this process is recorded again"
export const bookkeepingFailed = (reason: string, delay: Duration.Duration) =>
  tryingAgain(`The bookkeeping tables could not be prepared: ${reason}`, delay)
export const healthServed = (address: string) => `Health endpoints: http://${address}`
/** `signal` is traces or metrics, `check` the variables that may be wrong. */
export const telemetryFailed = (signal: string, address: string, reason: string, check: string) =>
  `Cannot export ${signal} to ${address}: ${reason}; check ${check}. They are dropped until an export succeeds; it is tried every minute`
export const telemetryExported = (signal: string, address: string) =>
  `The export of ${signal} to ${address} works again`
export const checkpointsReady = "Checkpoint tracking initialized"
export const cannotBeFollowed = (publication: string, walLevel: string) =>
  `CDC_READY: wal_level is ${walLevel}, so nobody can follow publication "${publication}"; set wal_level = logical and start ` +
  "PostgreSQL again"
export const preparing = (dataset: string) => `Preparing to sync dataset: ${dataset}`
export const selectsAll = (table: string, columns: number) =>
  `Table '${table}' uses SELECT * - creating table with all ${columns} columns from manifest`
export const selectsColumns = (table: string, columns: ReadonlyArray<string>) =>
  `Table '${table}' selects ${columns.length} specific columns: ${columns.join(", ")}`
export const resuming = (table: string, block: bigint) =>
  `Resuming table '${table}' from checkpoint: block_num > ${block}`
export const fromTheBeginning = (table: string) => `No checkpoint found for table '${table}', starting from beginning`
export const streamStarted = (table: string) => `Started reorg stream for table: ${table}`
export const caughtUp = (table: string, watermark: bigint | undefined) =>
  `Table '${table}' has caught up with the source${
    watermark === undefined ? "" : `, complete up to block ${watermark}`
  }`
/** What a table did in the last minute, and where it stands. */
export const lastMinute = (status: TableStatus, rows: number, blocks: bigint) => {
  const { phase, table, watermark } = status
  const lag = lagBlocks(status)
  const upTo = watermark === undefined ? "no block is complete yet" : `complete up to block ${watermark}`
  const behind = lag === undefined ? "the head of the source is not known" : `${lag} blocks behind the source`
  return `Table '${table}' (${phase}): ${rows} rows and ${blocks} blocks in the last minute, ${upTo}, ${behind}`
}
type Way = Pick<TableProgress, "behind" | "rowsPerSecond" | "secondsLeft">
const wayOf = ({ behind, rowsPerSecond, secondsLeft }: Way) =>
  [
    `${Math.round(rowsPerSecond)} rows/s`,
    behind === undefined ? "the head of the source is not known" : `${behind} blocks behind the source`,
    secondsLeft === undefined ? "time left unknown" : `about ${formatRoughly(secondsLeft)} left`
  ].join(", ")
/** Every ten seconds, until it has caught up. */
export const catchingUp = (table: string, way: Way) => `Table '${table}' is catching up: ${wayOf(way)}`
/** The same for many tables; lag and time are those of the table with the longest way. */
export const tablesCatchingUp = (count: number, of: number, way: Way) =>
  `${count} of ${of} tables are catching up: ${wayOf(way)}`
export const received = (table: string, rows: number, ranges: string) =>
  `Received data batch for table '${table}': ${rows} rows, block ranges: ${ranges}`
export const inserted = (table: string, rows: number) => `Successfully bulk inserted ${rows} rows into table '${table}'`
export const checkpointUpdated = (table: string, block: bigint) =>
  `Updated checkpoint for table '${table}' to block ${block}`
export const batchPerformance = (elapsedMillis: number, rows: number, next: number) =>
  `Batch performance: ${elapsedMillis}ms for ${rows} rows, new batch size: ${next}`
export const batchReduced = (rows: number) => `Reducing batch size to ${rows} due to repeated errors`
export const reorgDetected = (table: string, range: BlockRange, upTo: bigint) =>
  `Reorg detected for table '${table}', invalidating ranges: ${range.network} ${range.start}-${upTo}`
export const reorgDeleted = (table: string, rows: number) =>
  `Deleted ${rows} rows from table '${table}' due to blockchain reorganization`
export const reorgHandled = (table: string) => `Successfully handled reorg for table '${table}'`
export const streamEnded = (table: string) => `Stream ended for table '${table}'. Attempting reconnection...`
export const streamFailed = (table: string, attempt: number, of: number, reason: string) =>
  `Failed to create stream for table '${table}' (attempt ${attempt}/${of}): ${reason}`
export const retrying = (table: string, seconds: number) =>
  `Retrying stream for table '${table}' in ${seconds} seconds...`
/** The first ampsync gave up here; this one goes on, and says so after the words that are watched for. */
export const stalled = (table: string, attempts: number) =>
  `Max retries (${attempts}) reached for table '${table}'. It is stalled and keeps being retried.`
export const insertFailed = (table: string, reason: string) =>
  `CRITICAL: Failed to insert rows into table '${table}': ${reason}`
export const reorgFailed = (table: string, reason: string) =>
  `CRITICAL: Failed to handle reorg for table '${table}': ${reason}`
export const parked = (table: string, reason: string) =>
  `Table '${table}' is parked until the config changes or ampsync is started again: ${reason}`
export const standingBy = (table: string, reason: string) => `Standing by for table '${table}': ${reason}`
export const tookOver = (table: string, writer: string, how: string) =>
  `Took over table '${table}' from ${writer}, ${how}`
export const watching = (path: string) => `File watcher initialized for '${path}'`
export const manifestChanged = "Manifest file changed, initiating hot-reload..."
export const newVersion = (dataset: string, version: string) =>
  `Version ${version} of dataset ${dataset} is published, initiating hot-reload...`
export const versionTaken = (dataset: string, before: string, version: string) =>
  `Dataset ${dataset}: version ${version} is read from now on, ${before} until now`
export const unknownDependency = (
  alias: string,
  reference: DatasetReference,
  { detail }: { readonly detail: string }
) => `dependency ${JSON.stringify(alias)} is ${JSON.stringify(formatDatasetReference(reference))}: ${detail}`
export const pinLeftOut = (dataset: string, version: string) =>
  `Version ${version} of dataset ${dataset} has no form in the SQL of a nozzle server, so its newest version is read`
export const reloaded = (name: string, revision: string | undefined, version: string | undefined) =>
  `Successfully loaded new manifest: ${versioned(name, revision, version)}`
export const reloadFailed = (reason: string) => `Failed to reload manifest: ${reason}`
export const keepingPrevious = "Keeping previous configuration active"
export const keepingPreviousForNow = `${keepingPrevious}; trying the new one again until it works or changes`
export const tablesAfterReload = (
  counts: Readonly<Record<"unchanged" | "changed" | "started" | "removed" | "retried", number>>
) =>
  `Tables: ${
    Object.entries(counts).filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`).join(", ")
  }`
export const tableNote = (table: string, note: string) => `Table '${table}': ${note}`
export const blockNotChecked = (block: bigint, reason: string) =>
  `Block ${block} could not be checked against the server's chain: ${reason}. The table is unverified until it can be checked`
export const tableRemoved = (table: string) =>
  `Table '${table}' is no longer in the config and not synced here any more; its complete rows and its checkpoint stay`
export const trimmed = (table: string, rows: number) => `Deleted ${rows} provisional rows from table '${table}'`
export const notTrimmed = (table: string, reason: string) => `Table '${table}' keeps its provisional rows: ${reason}`
export const statesNotReported = (reason: string) =>
  `_ampsync_progress does not show the present states, trying again: ${reason}`
export const reconnecting = (table: string, from: string, reason: string) =>
  `Table '${table}': reconnecting from ${from}: ${reason}`
export const diverged = (table: string, reason: string) =>
  `Table '${table}': ${reason}. It continues once the source's chain is longer; where that is a development chain that was ` +
  "started again, set ON_CHAIN_RESET=resync to follow it"
export const headUnreadable = (reason: string) =>
  `The lag of tables is not known, and they count as caught up once their streams are silent: ${reason}`
export const crashed = (table: string, reason: string) =>
  `Table '${table}' stopped: internal error (please report it): ${reason}`
interface NamedIndex {
  readonly name: string
  readonly columns: ReadonlyArray<string>
}
export const indexEvent = {
  building: (table: string, { name: index }: NamedIndex, _elapsedMillis: number) =>
    `Table '${table}' has caught up, building index ${index} in the background`,
  built: (table: string, { name: index }: NamedIndex, elapsedMillis: number) =>
    `Table '${table}' has index ${index}, ${Math.round(elapsedMillis / 1000)} s after the first build began`,
  "dropped broken": (table: string, { name: index }: NamedIndex, _elapsedMillis: number) =>
    `Table '${table}': dropped index ${index}, which an interrupted build had left behind`,
  "left out": (table: string, index: NamedIndex, _elapsedMillis: number) =>
    `Table '${table}': index ${index.name} is left out: rows have values in ${
      columnList(index.columns)
    } that are too ` +
    `large for it (${INDEX_ROOM}). ${FULL_INDEX_ADVICE}`
}
export const indexWaits = (table: string, processId: number) =>
  `Table '${table}': the build of its indexes waits for the transaction of server process ${processId}, which is older or has ` +
  "locked the table, and goes on when that has ended. To see it: SELECT state, xact_start, query FROM pg_stat_activity " +
  `WHERE pid = ${processId}; to end it: SELECT pg_terminate_backend(${processId})`
export const indexDropped = (table: string, { columns, name }: NamedIndex, blocks: string, isNamed: boolean) =>
  `Table '${table}': dropped index ${name}: a row of ${blocks} has values in ${
    columnList(columns)
  } that are too large for ` +
  `${isNamed ? "it" : "an index, which PostgreSQL does not name, and this one may be it"} (${INDEX_ROOM}). ` +
  FULL_INDEX_ADVICE
const FULL_INDEX_ADVICE =
  "The table goes on without it. Remove it from \"indexes\" of the config, or name shorter columns; the next start tries once " +
  "to build it again"
export const fullIndexStays = (
  { columns, isPrimaryKey, name }: NamedIndex & { readonly isPrimaryKey: boolean },
  blocks: string
) =>
  `a row of ${blocks} has values that are too large for ` +
  (isPrimaryKey
    ? `its primary key ${columnList(columns)} (${INDEX_ROOM}); name shorter columns in "primaryKey" of the config`
    : `index ${name} on ${columnList(columns)} (${INDEX_ROOM}), which is not one of the config; drop it, or index an ` +
      "expression of a bounded length instead")
/** Part of the reason of a table that waits for its index to be dropped. */
export const fullIndexInUse = (
  row: { readonly message: string },
  processIds: ReadonlyArray<number>,
  locked: { readonly message: string }
) =>
  `${row.message}, which cannot be dropped while somebody else uses the table: ` +
  (processIds.length === 0
    ? locked.message
    : `it waits for ${
      processIds.length === 1 ? "the transaction of server process" : "the transactions of server processes"
    } ${processIds.join(", ")}. To see them: SELECT state, xact_start, query FROM pg_stat_activity WHERE pid IN (${
      processIds.join(", ")
    }); to end one: SELECT pg_terminate_backend(${processIds[0]})`)
export const indexesLocked = (table: string, indexes: ReadonlyArray<string>, lock: string, processId: number) =>
  `Table '${table}': cannot build ${
    indexes.join(", ")
  } yet: the session of server process ${processId} holds the advisory lock ` +
  `of the table's index builds. If it builds an index, this ends by itself. If it does not (SELECT state, query FROM ` +
  `pg_stat_activity WHERE pid = ${processId}), a connection pooler kept the lock of an earlier build: end the session with ` +
  `SELECT pg_terminate_backend(${processId}). Trying again every 10 seconds. The key of the lock is hashtextextended('${
    lock.replaceAll("'", "''")
  }', 0)`
export const indexFailed = (table: string, reason: string, again: boolean) =>
  `Table '${table}' is synced, but an index could not be built${again ? ", trying again" : ""}: ${reason}${
    again ? "" : ". The next start tries once to build it again"
  }`
export const partitionsMade = (table: string, count: number, firstBlock: bigint, lastBlock: bigint) =>
  `Table '${table}': made ${
    count === 1 ? "the partition" : `${count} partitions`
  } for blocks ${firstBlock}-${lastBlock}`
export const partitionNotMade = (table: string, lastBlock: bigint, reason: string, seconds: number) =>
  `Table '${table}': cannot make the partition behind block ${lastBlock}: ${reason}. No row needs it yet; trying again in ` +
  `${seconds} s`
export const manyPartitions = (table: string, count: number) =>
  `Table '${table}' has ${count} partitions: statements that read all of it may need more locks than ` +
  "max_locks_per_transaction of PostgreSQL allows. Raise that, or \"blocks\" of partitionBy in the config"
export const buildingKeys = (table: string, index: string) =>
  `Table '${table}': building index ${index}; its new blocks wait until it is built`
export const keysBuilt = (table: string) =>
  `Table '${table}' has its primary key and its indexes now, which were left for the time after the first fill`
export const keysLost = (table: string) =>
  `Table '${table}' has no keys any more: the database lost them, as a promoted replica may. Building them again`
export const indexNotConfigured = (table: string, index: string) =>
  `Table '${table}' keeps index ${index}, which the config no longer names; drop it if nobody needs it`
export const syncEnded = "The sync ended by itself"
export const shuttingDown = (tables: number) => `Shutting down ${tables} stream processing tasks...`
export const tasksEnded = "All stream tasks shut down gracefully"
