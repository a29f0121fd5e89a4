/** One attempt at one table: from the lease to the end of its stream. */
import { Clock, Deferred, Effect, Ref, Stream } from "effect"
import type { Semaphore } from "effect"
import type { ArrowSchema } from "../../domain/arrow/ArrowSchema.ts"
import type { ColumnBatch } from "../../domain/arrow/ColumnBatch.ts"
import type { DecoderState } from "../../domain/arrow/decodeFrame.ts"
import { decodeFrame, noSchema } from "../../domain/arrow/decodeFrame.ts"
import { differences } from "../../domain/arrow/differences.ts"
import type { Chunk } from "../../domain/chain/Chunk.ts"
import type { Followed, FollowState, Frame, Rejection } from "../../domain/chain/followFrame.ts"
import { followFrame, startFollowing } from "../../domain/chain/followFrame.ts"
import { advanceProgress, type Progress } from "../../domain/chain/progress.ts"
import { cursorOf, resume, type ResumeStrategy } from "../../domain/chain/resumeStrategy.ts"
import { parseStreamMetadata } from "../../domain/chain/StreamMetadata.ts"
import type { TableEvent } from "../../domain/chain/TableEvent.ts"
import type { Watermark } from "../../domain/chain/watermarks.ts"
import { type ChunkSize, initialChunkSize } from "../../domain/ChunkSize.ts"
import type { FlightData } from "../../domain/flight/FlightData.ts"
import * as log from "../../domain/logLines.ts"
import { datasetId } from "../../domain/manifest/Dataset.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import type { StreamingQuery } from "../../domain/sql/streamingQuery.ts"
import type { DatasetTable } from "../../services/AdminApi.ts"
import { SyncConfig } from "../../services/Config.ts"
import { FlightClient } from "../../services/FlightClient.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { TableSink, type TableWriter, type WriteError } from "../../services/TableSink.ts"
import { type ActiveConfig, requestOf } from "../reload/ActiveConfig.ts"
import type { CopyBuffers } from "./CopyBuffers.ts"
import { readSchema } from "./describeTable.ts"
import { awaitFirstMessage } from "./firstMessage.ts"
import { ChainMismatch, type Outcome, ProtocolViolation } from "./Outcome.ts"
import { StreamActivity } from "./StreamActivity.ts"
import { verifyBlock } from "./verifyBlock.ts"
import { watchLease } from "./watchLease.ts"
import { fellBehind, watchSource } from "./watchSource.ts"
import { writeChunks } from "./writeChunks.ts"

/** What all tables of a process share. */
export interface SharedByTables {
  /** One permit per chunk in flight: what all tables hold in memory together is bounded by them (I8). */
  readonly permits: Semaphore.Semaphore
  readonly buffers: CopyBuffers
  /** Networks whose head could not be read: it is reported once. */
  readonly unreadableHeads: Set<string>
}

/** What the attempts at one table share; nothing here must survive the process. */
export interface TableSession {
  readonly table: TableSpec
  /** Of the active config: one that leaves this table as it is may replace it between two attempts. */
  readonly active: Effect.Effect<ActiveConfig>
  readonly shared: SharedByTables
  readonly size: Ref.Ref<ChunkSize>
  readonly strategy: Ref.Ref<ResumeStrategy>
  readonly progress: Ref.Ref<Progress>
  /** What the current attempt achieved, known also where it fails. */
  readonly achieved: Ref.Ref<Achieved>
  /** Done once the table has caught up for the first time. */
  readonly caughtUp: Deferred.Deferred<void>
  /** Names of indexes of the config that rows have no room in: no more in this run. */
  readonly leftOutIndexes: Ref.Ref<ReadonlySet<string>>
  /** Only a change of the config, or a new start, tries it again. */
  readonly isParked: Ref.Ref<boolean>
}

/** A session without attempts yet. */
export const makeTableSession = Effect.fnUntraced(function*(
  table: TableSpec,
  active: Effect.Effect<ActiveConfig>,
  shared: SharedByTables
): Effect.fn.Return<TableSession> {
  return {
    table,
    active,
    shared,
    size: yield* Ref.make(initialChunkSize),
    strategy: yield* Ref.make(resume),
    progress: yield* Ref.make<Progress>({ watermark: undefined, highestRow: undefined }),
    achieved: yield* Ref.make<Achieved>({ progress: false, atTip: false }),
    caughtUp: yield* Deferred.make<void>(),
    leftOutIndexes: yield* Ref.make<ReadonlySet<string>>(new Set()),
    isParked: yield* Ref.make(false)
  }
})

/** Something was committed that was never committed before; the stream ended while the table was caught up. */
export interface Achieved {
  readonly progress: boolean
  readonly atTip: boolean
}

/** Ends the stream from within: the attempt is over, and this is how. */
class Reconnect {
  readonly _tag = "Reconnect"
  readonly outcome: Outcome
  constructor(outcome: Outcome) {
    this.outcome = outcome
  }
}

/**
 * Takes the lease, opens the stream where the table stands, and follows it until it ends.
 *
 * Every attempt begins from what is durable, so none needs to know how the one before ended.
 */
export const syncTable = Effect.fn("syncTable")(
  function*(session: TableSession) {
    const { shared, size, table } = session
    const [config, sink, flight] = [yield* SyncConfig, yield* TableSink, yield* FlightClient]
    const active = yield* session.active
    const lease = yield* sink.acquire({ table: table.name, dataset: datasetId(active.manifest.dataset) })
    const strategy = yield* Ref.get(session.strategy)
    const { network } = lease.checkpoint
    // Of a table that is gone nothing can be resumed.
    const cursor = network === undefined || !lease.tableExists
      ? undefined
      : cursorOf(strategy, lease.checkpoint.history)
    const opened = yield* flight.open({
      sql: sentQuery(active, table).streaming,
      cursor: cursor === undefined ? undefined : { network: network!, number: cursor.block, hash: cursor.hash }
    })
    const { messages, schema } = opened
    yield* Effect.logInfo(log.connected(config.flightAddr))
    const columns = yield* readSchema(schema)
    const writer = yield* sink.prepare(lease, requestOf(active, table, columns)).pipe(
      // What no stream can be made of may lack the columns of one: the server's own reason comes first.
      Effect.tapErrorTag("TableRejected", () => awaitFirstMessage(Effect.succeed(opened)))
    )
    if (cursor !== undefined && writer.checkpoint.history.length === 0) return yield* reconnectToFill(table, writer)
    const declaresEnds = active.dialect === "amp"
    const clock = yield* Clock.Clock
    const activity = new StreamActivity(writer.checkpoint, declaresEnds, clock.currentTimeMillisUnsafe())
    yield* announce(session, active, columns, writer, cursor)
    const options = {
      rangeMode: writer.rangeMode,
      retentionBlocks: config.retentionBlocks,
      onChainReset: config.onChainReset
    }

    const start = startFollowing(writer.checkpoint, options, strategy)

    const stream = messages.pipe(
      Stream.mapAccumEffect(() => noSchema, decode),
      Stream.mapAccumEffect(() => start, follow(active, activity, clock)),
      writeChunks(writer, {
        permits: shared.permits,
        buffers: shared.buffers,
        size,
        onEvent: (event) => noteEvent(session, activity, clock.currentTimeMillisUnsafe(), event),
        isBacklog: () => activity.isBacklog(clock.currentTimeMillisUnsafe()),
        whileIdle: waitForQuiet(activity),
        onCommit: (chunk, { rowsRemoved }, elapsedMillis) => noteCommit(session, chunk, rowsRemoved, elapsedMillis),
        onFailure: (chunk, error) => noteFailure(session, chunk, error)
      }),
      Effect.andThen(endOf(session, activity)),
      Effect.catchTag("Reconnect", ({ outcome }) => Effect.succeed(outcome))
    )
    return yield* Effect.raceAllFirst([
      stream,
      watchLease(writer, activity),
      watchSource({
        table: table.name,
        manifest: active.manifest,
        network: expectedNetwork(active, table),
        start,
        activity,
        caughtUp: session.caughtUp,
        onChainReset: config.onChainReset,
        unreadableHeads: shared.unreadableHeads
      })
    ]).pipe(Effect.ensuring(Ref.update(session.achieved, (achieved) => ({ ...achieved, atTip: activity.isAtTip }))))
  },
  Effect.scoped,
  Effect.catchTag(["TableHeld", "Fenced"], (error) => Effect.succeed<Outcome>({ _tag: "Held", reason: error.message })),
  (effect, session) => Effect.annotateLogs(effect, { table: session.table.name })
)

/** FlightData -> frame: its metadata, and its rows as columns. */
const decode = Effect.fnUntraced(function*(state: DecoderState, message: FlightData) {
  const metadata = yield* Effect.fromResult(parseStreamMetadata(message.appMetadata))
  const { batch, state: next } = yield* Effect.fromResult(decodeFrame(state, message))
  return [next, [{ metadata, batch }]] as const
})

/** Frame -> events of the table. A block that the chain rules doubt is checked first. */
const follow = (active: ActiveConfig, activity: StreamActivity, clock: Clock.Clock) => {
  const act = Effect.fnUntraced(function*(state: FollowState, frame: Frame<ColumnBatch>, rejection: Rejection) {
    let step: Followed<ColumnBatch> | Rejection = rejection
    if (step._tag === "Verify") {
      const network = frame.metadata!.ranges[0]!.network
      activity.isIdle = false
      step = followFrame(state, frame, yield* verifyBlock(active.manifest, network, step.watermark))
    }
    switch (step._tag) {
      case "Followed":
        return [step.state, step.events] as const
      case "ReconnectFrom":
        return yield* Effect.fail(new Reconnect({ ...step, isFailure: false }))
      case "ChainMismatch":
        return yield* new ChainMismatch({ reason: step.reason })
      case "Violation":
        return yield* new ProtocolViolation({ reason: step.reason })
      case "Verify":
        return yield* Effect.die(new Error("I2: a verdict was asked for twice"))
    }
  })
  return (before: FollowState, frame: Frame<ColumnBatch>) => {
    activity.onMessage(clock.currentTimeMillisUnsafe())
    const state = activity.withoutDoubt(before)
    const step = followFrame(state, frame)
    return step._tag === "Followed" ? Effect.succeed([step.state, step.events] as const) : act(state, frame, step)
  }
}

/** The table's query as the active config resolves it: the same data may have been named otherwise before. */
const sentQuery = ({ manifest }: ActiveConfig, { name, query }: TableSpec): StreamingQuery =>
  manifest.tables.find((table) => table.name === name)?.query ?? query

/** What the Admin API reports of the table. */
const publishedTable = ({ info }: ActiveConfig, table: TableSpec): DatasetTable | undefined =>
  info?.tables.find(({ name }) => name === table.name)

/** The network of a table before its stream names one. */
const expectedNetwork = (active: ActiveConfig, table: TableSpec): string | undefined =>
  publishedTable(active, table)?.network ?? active.manifest.network

/** The server ended the stream, which is its right. */
const endOf = ({ achieved }: TableSession, { isAtTip }: StreamActivity): Effect.Effect<Outcome> =>
  Effect.map(Ref.get(achieved), ({ progress }) => ({ _tag: progress ? "Progressed" : isAtTip ? "AtTip" : "Ended" }))

/** What the Admin API reports of this table's columns otherwise than the query does. */
const contradictions = (active: ActiveConfig, table: TableSpec, schema: ArrowSchema): ReadonlyArray<string> => {
  const published = publishedTable(active, table)?.schema
  return published === undefined ? [] : differences(published, schema)
}

/** The table was gone, and with it what the stream was opened from. */
const reconnectToFill = Effect.fnUntraced(function*({ name }: TableSpec, { notes }: TableWriter) {
  for (const note of notes) yield* Effect.logWarning(log.tableNote(name, note))
  const reason = "nothing of the table is left"
  return { _tag: "ReconnectFrom", strategy: resume, reason, isFailure: false } satisfies Outcome as Outcome
})

const announce = Effect.fnUntraced(function*(
  { table }: TableSession,
  active: ActiveConfig,
  schema: ArrowSchema,
  writer: TableWriter,
  cursor: Watermark | undefined
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
    rows: writer.rows,
    watermark: writer.checkpoint.history.at(-1)?.block,
    unverified: writer.checkpoint.unverifiedFrom !== undefined
  })
})

/** An event that comes within this was on its way while the one before it was committed. */
const MOMENT = "20 millis"

/** Waits until the stream is quiet, and reports when it was idle last. */
const waitForQuiet = (activity: StreamActivity): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* Effect.sleep(MOMENT)
    const now = yield* Clock.currentTimeMillis
    activity.onIdle(now)
    const { quietAtMillis } = activity
    if (quietAtMillis === undefined) return
    yield* Effect.sleep(Math.max(0, quietAtMillis - now))
    activity.onSettled()
  }).pipe(
    // It stays idle until the next event, and that moment counts.
    Effect.andThen(Effect.never),
    Effect.onInterrupt(() => Effect.map(Clock.currentTimeMillis, (now) => activity.onBusy(now)))
  )

const noteEvent = (session: TableSession, activity: StreamActivity, nowMillis: number, event: TableEvent) => {
  const { name } = session.table
  const isBacklog = activity.onEvent(event, nowMillis)
  // The connection was opened well: how that was done has served its purpose.
  if (event._tag === "RangeStarted" && Ref.getUnsafe(session.strategy) !== resume) {
    return Ref.set(session.strategy, resume)
  }
  if (event._tag === "Reorg") {
    const { range, replaced } = event
    const upTo = replaced !== undefined && replaced.block > range.end ? replaced.block : range.end
    return Effect.logWarning(log.reorgDetected(name, range, upTo))
  }
  return isBacklog && activity.isAtTip ? fellBehind({ activity, table: name }) : undefined
}

const noteFailure = Effect.fnUntraced(function*({ size, table }: TableSession, chunk: Chunk, error: WriteError) {
  if (error._tag === "Fenced") return
  const sentence = chunk.reorgs.length > 0 ? log.reorgFailed : log.insertFailed
  yield* Effect.logError(sentence(table.name, error.message))
  yield* Effect.logWarning(log.batchReduced((yield* Ref.get(size)).rows))
})

const WORTH_A_LINE = 1_000

const noteCommit = Effect.fnUntraced(function*(
  session: TableSession,
  chunk: Chunk,
  rowsRemoved: number,
  elapsedMillis: number
) {
  const { name } = session.table
  const status = yield* StatusRecorder
  const { isProgress, progress } = advanceProgress(yield* Ref.get(session.progress), chunk)
  yield* Ref.set(session.progress, progress)
  if (isProgress) yield* Ref.update(session.achieved, (achieved) => ({ ...achieved, progress: true }))
  const watermark = chunk.checkpoint.history.at(-1)?.block
  const before = chunk.before.history.at(-1)?.block ?? (chunk.checkpoint.origin ?? 0n) - 1n
  yield* status.record(name, {
    _tag: "Committed",
    isProgress,
    rowsAdded: chunk.rows,
    rowsRemoved,
    blocks: watermark !== undefined && watermark > before ? watermark - before : 0n,
    watermark,
    watermarkAtSeconds: chunk.completed?.timestamp,
    lastBlock: chunk.lastBlock,
    reorgs: chunk.reorgs.length,
    unverified: chunk.checkpoint.unverifiedFrom !== undefined
  })
  if (chunk.reorgs.length > 0) {
    yield* Effect.logWarning(log.reorgDeleted(name, rowsRemoved))
    yield* Effect.logInfo(log.reorgHandled(name))
  }
  if (chunk.rows > 0) {
    yield* Effect.logDebug(log.received(name, chunk.rows, `${chunk.firstBlock}-${chunk.lastBlock}`))
    // At the tip every block is a chunk: a line for each would bury the others.
    const level = chunk.rows < WORTH_A_LINE ? Effect.logDebug : Effect.logInfo
    yield* level(log.inserted(name, chunk.rows))
    yield* Effect.logDebug(log.batchPerformance(elapsedMillis, chunk.rows, (yield* Ref.get(session.size)).rows))
  }
  if (watermark !== undefined && chunk.completed !== undefined) {
    yield* Effect.logDebug(log.checkpointUpdated(name, watermark))
  }
})
