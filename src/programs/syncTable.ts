import { Effect, Ref, Stream } from "effect"
import type { Semaphore } from "effect"
import type { ArrowSchema } from "../domain/arrow/ArrowSchema.ts"
import { differences } from "../domain/arrow/differences.ts"
import type { BatchSize } from "../domain/BatchSize.ts"
import type { Approach } from "../domain/chain/approach.ts"
import { cursorOf, resume } from "../domain/chain/approach.ts"
import type { Chunk, Part } from "../domain/chain/Chunk.ts"
import type { Verdict } from "../domain/chain/follow.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { TableSpec } from "../domain/TableSpec.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { FlightClient } from "../services/FlightClient.ts"
import type { SourceHead } from "../services/SourceHead.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import type { TableWriter } from "../services/TableSink.ts"
import { TableSink } from "../services/TableSink.ts"
import { commitChunks } from "./commitChunks.ts"
import { describeTable } from "./describeTable.ts"
import { followTable } from "./followTable.ts"
import { type Generation, requestOf } from "./Generation.ts"
import * as log from "./logLines.ts"
import { verifyBlock } from "./verifyBlock.ts"

/** What the attempts at one table share; nothing here must survive the process. */
export interface TableSession {
  readonly table: TableSpec
  /** Of the config in force: one that leaves this table as it is may replace it between two attempts. */
  readonly generation: Ref.Ref<Generation>
  readonly permits: Semaphore.Semaphore
  readonly size: Ref.Ref<BatchSize>
  readonly approach: Ref.Ref<Approach>
  /** Counts commits: an attempt that moved it made progress. */
  readonly commits: Ref.Ref<number>
}

/**
 * One connection of one table: take the right to write, open the stream where the table stands, follow it until it ends.
 *
 * Every attempt begins from what is durable, so none needs to know how the one before ended.
 */
export const syncTable = Effect.fn("syncTable")(
  function*(session: TableSession) {
    const { table } = session
    const generation = yield* Ref.get(session.generation)
    const [flight, sink, config, status] = [
      yield* FlightClient,
      yield* TableSink,
      yield* AmpsyncConfig,
      yield* SyncStatus
    ]
    const schema = yield* describeTable(table)
    const writer = yield* sink.prepare(requestOf(generation, table, schema))
    // Not before: a process that stands by asks the server again and again, and has nothing to tell.
    yield* Effect.logInfo(log.connected(config.flightAddr))
    const approach = yield* Ref.get(session.approach)
    const cursor = cursorOf(approach, writer.known.history)
    for (const sentence of contradictions(generation, table, schema)) {
      yield* Effect.logWarning(
        `Table '${table.name}': ${sentence}`
      )
    }
    yield* announce(table, schema, writer, cursor)
    yield* status.update(table.name, (was) => ({
      // Being connected is no progress yet: only a commit, or to stand at the tip, ends a stall.
      ...(was.phase === "stalled" ? {} : { phase: "catching up" as const, reason: undefined }),
      rows: writer.rows,
      watermark: writer.known.history.at(-1)?.block,
      unverified: writer.known.unverifiedFrom !== undefined
    }))
    const frames = yield* flight.open({
      sql: table.query.streaming,
      cursor: cursor === undefined || writer.known.network === undefined
        ? undefined
        : { network: writer.known.network, number: cursor.block, hash: cursor.hash }
    })
    yield* Effect.logInfo(log.streamStarted(table.name))
    const options = {
      rangeMode: writer.rangeMode,
      retentionBlocks: config.retentionBlocks,
      onChainReset: config.onChainReset
    }
    const services = yield* Effect.context<SourceHead>()
    const verify = (network: string, block: Watermark): Effect.Effect<Verdict> =>
      Effect.provideContext(verifyBlock(generation.manifest, network, block), services)
    const parts = followTable(frames, { known: writer.known, options, approach, plan: writer.plan, verify }).pipe(
      Stream.tap((part) => notePart(session, part))
    )
    yield* commitChunks(parts, {
      writer,
      permits: session.permits,
      size: session.size,
      onCommit: (chunk, { rowsRemoved }, elapsedMillis) =>
        noteCommit(session, status, chunk, rowsRemoved, elapsedMillis),
      onFailure: (chunk, error) =>
        Effect.gen(function*() {
          if (error._tag === "Fenced") return
          const sentence = chunk.reorgs.length > 0 ? log.reorgFailed : log.insertFailed
          yield* Effect.logError(sentence(table.name, error.message))
          yield* Effect.logWarning(log.batchReduced((yield* Ref.get(session.size)).rows))
        }),
      onPace: (phase) =>
        status.update(
          table.name,
          (was) => (was.phase === "stalled" && phase === "catching up" ? {} : { phase, reason: undefined })
        )
    })
  },
  Effect.scoped,
  (effect, session) => Effect.annotateLogs(effect, { table: session.table.name })
)

/** What the Admin API says of this table's columns otherwise than the query does. */
const contradictions = ({ info }: Generation, table: TableSpec, schema: ArrowSchema): ReadonlyArray<string> => {
  const published = info.tables.find(({ name }) => name === table.name)
  return published?.schema === undefined ? [] : differences(published.schema, schema)
}

const announce = Effect.fnUntraced(function*(
  table: TableSpec,
  schema: ArrowSchema,
  writer: TableWriter,
  cursor: Watermark | undefined
) {
  const columns = schema.fields.map((field) => field.name)
  const all = /^select\s+\*\s+from\s/i.test(table.query.sql)
  if (cursor === undefined) {
    yield* Effect.logInfo(all ? log.selectsAll(table.name, columns.length) : log.selectsColumns(table.name, columns))
  }
  for (const note of [...table.query.notes, ...writer.notes]) yield* Effect.logInfo(`Table '${table.name}': ${note}`)
  yield* Effect.logInfo(
    cursor === undefined ? log.fromTheBeginning(table.name) : log.resuming(table.name, cursor.block)
  )
})

const WORTH_A_LINE = 1_000

const notePart = Effect.fnUntraced(function*({ approach, table }: TableSession, part: Part) {
  if (part._tag === "Range") yield* Ref.set(approach, resume)
  if (part._tag === "Rewind") {
    const { range, replaced } = part.rewind
    const upTo = replaced !== undefined && replaced.block > range.end ? replaced.block : range.end
    yield* Effect.logWarning(log.reorgDetected(table.name, range, upTo))
  }
})

const noteCommit = Effect.fnUntraced(function*(
  { commits, size, table }: TableSession,
  status: SyncStatus["Service"],
  chunk: Chunk,
  rowsRemoved: number,
  elapsedMillis: number
) {
  yield* Ref.update(commits, (n) => n + 1)
  const { name } = table
  const watermark = chunk.known.history.at(-1)?.block
  const before = chunk.before.history.at(-1)?.block ?? (chunk.known.origin ?? 0n) - 1n
  const blocks = watermark !== undefined && watermark > before ? watermark - before : 0n
  yield* status.update(name, (was) => ({
    // A table that has caught up goes on being so from block to block, until `onPace` says otherwise.
    phase: was.phase === "caught up" ? "caught up" : "catching up",
    reason: undefined,
    rows: was.rows + BigInt(chunk.rows - rowsRemoved),
    rowsCommitted: was.rowsCommitted + chunk.rows,
    blocksCommitted: was.blocksCommitted + blocks,
    watermark,
    head: chunk.lastBlock ?? was.head,
    reorgs: was.reorgs + chunk.reorgs.length,
    unverified: chunk.known.unverifiedFrom !== undefined
  }))
  if (chunk.reorgs.length > 0) {
    yield* Effect.logWarning(log.reorgDeleted(name, rowsRemoved))
    yield* Effect.logInfo(log.reorgHandled(name))
  }
  if (chunk.rows > 0) {
    yield* Effect.logDebug(log.received(name, chunk.rows, `${chunk.firstBlock}-${chunk.lastBlock}`))
    // At the tip every block is a chunk: a line for each would bury the others.
    const level = chunk.rows < WORTH_A_LINE ? Effect.logDebug : Effect.logInfo
    yield* level(log.inserted(name, chunk.rows))
    yield* Effect.logDebug(log.batchPerformance(elapsedMillis, chunk.rows, (yield* Ref.get(size)).rows))
  }
  if (watermark !== undefined && chunk.completed !== undefined) {
    yield* Effect.logDebug(log.checkpointUpdated(name, watermark))
  }
})
