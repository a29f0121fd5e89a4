/** Records what an attempt does: in the log, in `SyncStatus` and in the session of its table. */
import { Effect, Ref } from "effect"
import type { ArrowSchema } from "../../domain/arrow/ArrowSchema.ts"
import { schemaDifferences } from "../../domain/arrow/schemaDifferences.ts"
import type { WriterLease } from "../../domain/bookkeeping/WriterLease.ts"
import { type Chunk, reorgDepth } from "../../domain/chain/Chunk.ts"
import { advanceProgress } from "../../domain/chain/progress.ts"
import { resume } from "../../domain/chain/resumeStrategy.ts"
import type { TableEvent } from "../../domain/chain/TableEvent.ts"
import type { Watermark } from "../../domain/chain/watermarks.ts"
import * as log from "../../domain/logLines.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import type { HeldFigures, StageTimes } from "../../domain/StatusEvent.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import type { Committed, TableWriter, WriteError } from "../../services/TableSink.ts"
import { type ActiveConfig, publishedTable } from "../reload/ActiveConfig.ts"
import type { StreamActivity } from "./StreamActivity.ts"
import type { TableSession } from "./TableSession.ts"

/** Logs the previous writer where it fell silent, or where this process had lost the table to it or stood by for it. */
export const recordTakeover = ({ table, takenFrom }: WriterLease, heldBy: string | undefined): Effect.Effect<void> => {
  if (takenFrom?._tag === "Silent") {
    const { lastHeartbeat, writer } = takenFrom
    const how = lastHeartbeat === undefined ? "which has no heartbeat" : `whose last heartbeat was at ${lastHeartbeat}`
    return Effect.logInfo(log.tookOver(table, writer, how))
  }
  if (takenFrom === undefined && heldBy === undefined) return Effect.void
  return Effect.logInfo(log.tookOver(table, heldBy ?? "another process", "which released it"))
}

/** The stream is open and the table is prepared. */
export const recordConnected = Effect.fnUntraced(function*(
  { table }: TableSession,
  active: ActiveConfig,
  schema: ArrowSchema,
  writer: TableWriter,
  cursor: Watermark | undefined,
  confirmations: number
) {
  const { name } = table
  const status = yield* StatusRecorder
  for (const sentence of contradictions(active, table, schema)) {
    yield* Effect.logWarning(log.tableNote(name, sentence))
  }
  const columns = schema.fields.map((field) => field.name)
  const all = /^select\s+\*\s+from\s/i.test(table.query.sql)
  if (cursor === undefined) {
    yield* Effect.logInfo(all ? log.selectsAll(name, columns.length) : log.selectsColumns(name, columns))
  }
  for (const note of [...table.query.notes, ...writer.notes]) yield* Effect.logInfo(log.tableNote(name, note))
  yield* Effect.logInfo(cursor === undefined ? log.fromTheBeginning(name) : log.resuming(name, cursor.block))
  yield* Effect.logInfo(log.streamStarted(name))
  yield* status.record(name, {
    _tag: "Connected",
    commitSeq: writer.commitSeq,
    rows: writer.rows,
    provisionalRows: writer.provisionalRows,
    watermark: writer.checkpoint.history.at(-1)?.block,
    watermarkHash: writer.checkpoint.history.at(-1)?.hash,
    unverified: writer.checkpoint.unverifiedFrom !== undefined,
    confirmations
  })
})

/** The differences between the columns that the Admin API reports and those of the query. */
const contradictions = (active: ActiveConfig, table: TableSpec, schema: ArrowSchema): ReadonlyArray<string> => {
  const published = publishedTable(active, table)?.schema
  return published === undefined ? [] : schemaDifferences(published, schema)
}

/** An event came, and is about to be written; the effect, where there is one, must run first. */
export const recordEvent = (session: TableSession, activity: StreamActivity, nowMillis: number, event: TableEvent) => {
  const isBacklog = activity.onEvent(event, nowMillis)
  return recordWriting(session, event) ?? afterBacklog(session, activity, isBacklog)
}

/** As `recordEvent`, for an event that may have to wait for confirmations. */
export const recordReceived = (session: TableSession, activity: StreamActivity, nowMillis: number, event: TableEvent) =>
  afterBacklog(session, activity, activity.onReceived(event, nowMillis))

const afterBacklog = ({ table }: TableSession, activity: StreamActivity, isBacklog: boolean) =>
  isBacklog && activity.isAtTip ? recordFellBehind(table.name, activity) : undefined

/** Records that a table that had caught up is behind again, and wakes its watcher. */
export const recordFellBehind = Effect.fnUntraced(function*(table: string, activity: StreamActivity) {
  const status = yield* StatusRecorder
  activity.isAtTip = false
  activity.woken.openUnsafe()
  yield* status.record(table, { _tag: "FellBehind" })
})

/** An event is about to be written; the effect, where there is one, must run first. */
export const recordWriting = (session: TableSession, event: TableEvent) => {
  // A first range means that the strategy of this connection worked: the next attempt resumes again.
  if (event._tag === "RangeStarted" && Ref.getUnsafe(session.strategy) !== resume) {
    return Ref.set(session.strategy, resume)
  }
  if (event._tag === "Reorg") {
    const { range, replaced } = event
    const upTo = replaced !== undefined && replaced.block > range.end ? replaced.block : range.end
    return Effect.logWarning(log.reorgDetected(session.table.name, range, upTo))
  }
  return undefined
}

/** Ranges were replaced before they were written. */
export const recordDropped = ({ table }: TableSession, { blocks, rows }: HeldFigures) =>
  Effect.logDebug(
    log.tableNote(
      table.name,
      `${blocks} blocks with ${rows} rows were replaced while they waited for confirmations; none of them was written`
    )
  )

/** Something else waits for confirmations than before. */
export const recordHeld = Effect.fnUntraced(function*({ table }: TableSession, held: HeldFigures) {
  const status = yield* StatusRecorder
  yield* status.record(table.name, { _tag: "HeldChanged", held })
})

/** A chunk could not be written. */
export const recordWriteFailure = Effect.fnUntraced(
  function*({ size, table }: TableSession, chunk: Chunk, error: WriteError) {
    if (error._tag === "Fenced") return
    const sentence = chunk.reorgs.length > 0 ? log.reorgFailed : log.insertFailed
    yield* Effect.logError(sentence(table.name, error.message))
    yield* Effect.logWarning(log.batchReduced((yield* Ref.get(size)).rows))
  }
)

/** Chunks of fewer rows are logged at DEBUG: at the tip every block is a chunk, and a line for each would bury the others. */
const MIN_ROWS_AT_INFO = 1_000

/** A chunk is committed. */
export const recordCommit = Effect.fnUntraced(function*(
  session: TableSession,
  chunk: Chunk,
  { provisionalRows, rowsRemoved }: Committed,
  elapsedMillis: number,
  stages: StageTimes
) {
  const { name } = session.table
  const status = yield* StatusRecorder
  const { isProgress, progress } = advanceProgress(yield* Ref.get(session.progress), chunk)
  yield* Ref.set(session.progress, progress)
  if (isProgress) yield* Ref.update(session.achieved, (achieved) => ({ ...achieved, progress: true }))
  const newest = chunk.checkpoint.history.at(-1)
  const watermark = newest?.block
  const chunkRows = (yield* Ref.get(session.size)).rows
  const before = chunk.before.history.at(-1)?.block ?? (chunk.checkpoint.origin ?? 0n) - 1n
  yield* status.record(name, {
    _tag: "Committed",
    isProgress,
    rowsAdded: chunk.rows,
    rowsRemoved,
    deletedFrom: chunk.deleteFrom === "all" ? 0n : chunk.deleteFrom,
    provisionalRows,
    bytes: chunk.sizeBytes,
    blocks: watermark !== undefined && watermark > before ? watermark - before : 0n,
    watermark,
    watermarkHash: newest?.hash,
    watermarkAtSeconds: chunk.completed?.timestamp,
    firstBlock: chunk.firstBlock,
    lastBlock: chunk.lastBlock,
    lastRow: chunk.highestRow,
    reorgs: chunk.reorgs.map((reorg) => ({
      firstBlock: reorg.firstBlock,
      depth: reorgDepth(reorg),
      oldHash: reorg.replaced?.hash,
      newHash: reorg.newHash
    })),
    unverified: chunk.checkpoint.unverifiedFrom !== undefined,
    elapsedMillis,
    chunkRows,
    stages
  })
  if (chunk.reorgs.length > 0) {
    yield* Effect.logWarning(log.reorgDeleted(name, rowsRemoved))
    yield* Effect.logInfo(log.reorgHandled(name))
  }
  if (chunk.rows > 0) {
    yield* Effect.logDebug(log.received(name, chunk.rows, `${chunk.firstBlock}-${chunk.lastBlock}`))
    const level = chunk.rows < MIN_ROWS_AT_INFO ? Effect.logDebug : Effect.logInfo
    yield* level(log.inserted(name, chunk.rows))
    yield* Effect.logDebug(log.batchPerformance(elapsedMillis, chunk.rows, chunkRows))
  }
  if (watermark !== undefined && chunk.completed !== undefined) {
    yield* Effect.logDebug(log.checkpointUpdated(name, watermark))
  }
})
