/** One attempt at one table: from the lease to the end of its stream. */
import { Clock, Deferred, Effect, Exit, Ref, Stream, SubscriptionRef } from "effect"
import type { Checkpoint } from "../../domain/chain/Checkpoint.ts"
import { startFollowing } from "../../domain/chain/followFrame.ts"
import { cursorOf, resume } from "../../domain/chain/resumeStrategy.ts"
import { isSameWatermark, type Watermark } from "../../domain/chain/watermarks.ts"
import { elapsedMillisOf } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import { aboutTable } from "../../domain/logTargets.ts"
import { datasetId } from "../../domain/manifest/Dataset.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { SyncConfig } from "../../services/Config.ts"
import { FlightClient } from "../../services/FlightClient.ts"
import { TableLeases } from "../../services/TableLeases.ts"
import { TableSink, type TableWriter } from "../../services/TableSink.ts"
import { expectedNetwork, requestOf, sentQuery, statusOf } from "../reload/ActiveConfig.ts"
import { awaitConfirmations } from "./awaitConfirmations.ts"
import { decodeMessages } from "./decodeMessages.ts"
import { defersIndexes } from "./defersIndexes.ts"
import { readSchema } from "./describeTable.ts"
import { awaitFirstMessage, peekFirstMessage } from "./firstMessage.ts"
import { follow } from "./follow.ts"
import type { Outcome, ReconnectFrom } from "./Outcome.ts"
import {
  recordCommit,
  recordConnected,
  recordDropped,
  recordEvent,
  recordHeld,
  recordReceived,
  recordTakeover,
  recordWriteFailure,
  recordWriting
} from "./recordAttempt.ts"
import { reportingStages } from "./reportingStages.ts"
import { StageClock } from "./StageClock.ts"
import { StreamActivity } from "./StreamActivity.ts"
import type { TableSession } from "./TableSession.ts"
import { asAttempt } from "./TableSpans.ts"
import { waitForQuiet } from "./waitForQuiet.ts"
import { watchLease } from "./watchLease.ts"
import { watchSource } from "./watchSource.ts"
import { writeChunks } from "./writeChunks.ts"

/**
 * Takes the lease, opens the stream where the table stands, and follows it until it ends.
 *
 * Every attempt begins from what is durable, so none needs to know how the one before ended. Where rows wait for confirmations,
 * it continues behind those of a connection that ended by itself.
 */
export const syncTable = Effect.fn("syncTable")(
  function*(session: TableSession) {
    const { shared, size, table } = session
    const [config, sink, flight, leases] = [
      yield* SyncConfig,
      yield* TableSink,
      yield* FlightClient,
      yield* TableLeases
    ]
    const active = yield* session.active
    const lease = yield* sink.acquire({ table: table.name, dataset: datasetId(active.manifest.dataset) })
    yield* recordTakeover(lease, yield* Ref.getAndSet(session.heldBy, undefined))
    const strategy = yield* Ref.get(session.strategy)
    // A table that was dropped has nothing to resume.
    const kept = strategy === resume && lease.tableExists ? session.kept.resume(newest(lease)) : session.kept.drop()
    const { history, network } = kept ?? lease.checkpoint
    const cursor = network === undefined || !lease.tableExists ? undefined : cursorOf(strategy, history)
    const opened = yield* flight.open({
      sql: sentQuery(active, table).streaming,
      cursor: cursor === undefined ? undefined : { network: network!, number: cursor.block, hash: cursor.hash }
    })
    yield* Effect.logInfo(log.connected(config.flightAddr))
    const columns = yield* readSchema(opened.schema)
    // A query that cannot be streamed leaves no table behind.
    const { messages, network: streamNetwork } = lease.tableExists
      ? { ...opened, network: undefined }
      : yield* peekFirstMessage(opened.messages)
    // Once it has caught up in this run, a table that was dropped since would get its keys before its rows.
    const isFirstFill = !lease.tableExists && !(yield* Deferred.isDone(session.caughtUp))
    const request = {
      ...requestOf(active, table, columns),
      defersIndexes: isFirstFill && (yield* defersIndexes(active, table, streamNetwork))
    }
    const writer = yield* sink.prepare(lease, request).pipe(
      // A query that cannot be streamed may lack the columns of a stream: the server's own reason comes first.
      Effect.tapErrorTag("TableRejected", () => awaitFirstMessage(Effect.succeed({ ...opened, messages })))
    )
    // PostgreSQL may finish a build for a process that is gone, and its lock would keep the rows out.
    if (writer.deferred !== undefined) {
      yield* session.turn.ifFree(Effect.ignore(leases.evictBuild(table.name)))
    }
    yield* SubscriptionRef.set(session.deferred, writer.deferred)
    yield* SubscriptionRef.set(session.isWriter, true)
    const isFound = kept === undefined
      ? cursor === undefined || newest(writer) !== undefined
      : isSameWatermark(newest(writer), newest(lease))
    if (!isFound) {
      session.kept.drop()
      return yield* reconnectToFill(table, writer)
    }
    const from = kept ?? writer.checkpoint
    const declaresEnds = active.dialect === "amp"
    const clock = yield* Clock.Clock
    const activity = new StreamActivity(from, declaresEnds, elapsedMillisOf(clock))
    const stages = new StageClock(clock)
    session.spans?.opened(cursor?.block, network ?? expectedNetwork(active, table))
    const confirmations = table.settings.confirmations ?? config.confirmations
    yield* recordConnected(
      session,
      active,
      columns,
      writer,
      kept === undefined ? cursor : newest(writer),
      confirmations
    )
    const options = {
      rangeMode: writer.rangeMode,
      retentionBlocks: config.retentionBlocks,
      onChainReset: config.onChainReset
    }

    const start = startFollowing(from, options, strategy)
    const nowMillis = () => elapsedMillisOf(clock)

    const stream = messages.pipe(
      decodeMessages,
      Stream.mapAccumEffect(() => start, follow(active, activity, clock)),
      awaitConfirmations({
        confirmations,
        watermark: newest(writer),
        kept: session.kept,
        manifest: active.manifest,
        activity,
        memory: shared.held,
        onEvent: (event) => recordReceived(session, activity, nowMillis(), event),
        onDropped: (dropped) => recordDropped(session, dropped),
        onHeld: (held) => recordHeld(session, held)
      }),
      writeChunks(writer, {
        turn: session.turn,
        permits: shared.permits,
        buffers: shared.buffers,
        size,
        stages,
        onEvent: (event) =>
          confirmations === 0 ? recordEvent(session, activity, nowMillis(), event) : recordWriting(session, event),
        isBacklog: () => activity.isBacklog(nowMillis()),
        whileIdle: waitForQuiet(activity),
        onCommit: (chunk, committed, elapsedMillis, times) => {
          session.spans?.chunkEnds(chunk, times, Exit.succeed(committed))
          return recordCommit(session, chunk, committed, elapsedMillis, stages.take())
        },
        onFailure: (chunk, error, times) => {
          session.spans?.chunkEnds(chunk, times, Exit.fail(error))
          return recordWriteFailure(session, chunk, error)
        }
      }),
      Effect.andThen(endOf(session, activity)),
      Effect.catchTag("Reconnect", ({ outcome }) => asOpened(session, outcome, kept !== undefined))
    )
    const attempt = Effect.raceAllFirst([
      stream,
      watchLease(writer, activity, session.turn),
      Deferred.await(session.impossibleKeys),
      watchSource({
        table: table.name,
        manifest: active.manifest,
        network: expectedNetwork(active, table),
        start,
        activity,
        turn: session.turn,
        caughtUp: session.caughtUp,
        isDeferred: Effect.map(SubscriptionRef.get(session.deferred), (deferred) => deferred !== undefined),
        onChainReset: config.onChainReset,
        unreadableHeads: shared.unreadableHeads
      })
    ])
    return yield* reportingStages(table.name, stages, attempt).pipe(
      Effect.ensuring(Ref.update(session.achieved, (achieved) => ({ ...achieved, atTip: activity.isAtTip })))
    )
  },
  Effect.scoped,
  Effect.catchTag("Fenced", ({ message }) => Effect.succeed<Outcome>({ _tag: "Held", reason: message })),
  Effect.catchTag(
    "TableHeld",
    ({ message, writer }) => Effect.succeed<Outcome>({ _tag: "Held", reason: message, writer })
  ),
  (effect, { active, spans }) => asAttempt(spans, Effect.map(active, (config) => statusOf(config).queries), effect),
  (effect, session) => aboutTable(session.table.name)(effect)
)

/** The server ended the stream, which is its right. */
const endOf = ({ achieved }: TableSession, { isAtTip }: StreamActivity): Effect.Effect<Outcome> =>
  Effect.map(Ref.get(achieved), ({ progress }) => ({ _tag: progress ? "Progressed" : isAtTip ? "AtTip" : "Ended" }))

/**
 * Where nothing of this connection was written yet, the next one is opened for the same reason as this one. What a connection
 * that continued behind kept ranges found out is about watermarks that are not durable.
 */
const asOpened = ({ strategy }: TableSession, outcome: ReconnectFrom, wasKept: boolean): Effect.Effect<Outcome> =>
  wasKept
    ? Effect.succeed({ ...outcome, strategy: resume })
    : outcome.strategy === resume
    ? Effect.map(Ref.get(strategy), (before) => ({ ...outcome, strategy: before }))
    : Effect.succeed(outcome)

const newest = ({ checkpoint }: { readonly checkpoint: Checkpoint }): Watermark | undefined => checkpoint.history.at(-1)

/** The table was dropped, so the stream, which was opened from its newest watermark, must begin at the first block. */
const reconnectToFill = Effect.fnUntraced(function*({ name }: TableSpec, { notes }: TableWriter) {
  for (const note of notes) yield* Effect.logWarning(log.tableNote(name, note))
  const reason = "nothing of the table is left"
  return { _tag: "ReconnectFrom", strategy: resume, reason, isFailure: false } satisfies Outcome as Outcome
})
