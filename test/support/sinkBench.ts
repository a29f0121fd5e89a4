/** Tables on a real server, filled through the sink: what one process would do, without a stream. */
import { Context, Effect, Layer } from "effect"
import type { ArrowField, ArrowType } from "../../src/domain/arrow/ArrowSchema.ts"
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import type { Checkpoint } from "../../src/domain/chain/Checkpoint.ts"
import { addEvent, addRows } from "../../src/domain/chain/Chunk.ts"
import { noSettings, type TableSettings } from "../../src/domain/manifest/TableSettings.ts"
import { parseOverrideType } from "../../src/domain/postgres/types/columnOverride.ts"
import { layerWith as poolLayerWith, type PgPoolOptions } from "../../src/layers/PgPool.ts"
import { layerWith as indexesLayerWith } from "../../src/layers/TableIndexes.ts"
import { layer as sinkLayer } from "../../src/layers/TableSink.ts"
import { Bookkeeping } from "../../src/services/Bookkeeping.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { type IndexEvent, TableIndexes } from "../../src/services/TableIndexes.ts"
import { TableLeases } from "../../src/services/TableLeases.ts"
import { type TableRequest, TableSink, type TableWriter } from "../../src/services/TableSink.ts"
import { batchOf, columnOf, type Value } from "../domain/arrow/columns.ts"
import { bookkeepingLayers } from "./bookkeeping.ts"
import { firstOf, hashOf, writeChunk } from "./chunks.ts"
import { encodeWith } from "./encodeAll.ts"
import { type TestDatabase, testDatabase } from "./postgres.ts"
import { testSettings } from "./testSettings.ts"

export const UINT64: ArrowType = { kind: "int", bits: 64, signed: false }
export const UINT32: ArrowType = { kind: "int", bits: 32, signed: false }
export const UTF8: ArrowType = { kind: "utf8", offsets: 32 }
export const BINARY: ArrowType = { kind: "binary", offsets: 32 }
export const field = (name: string, type: ArrowType = UTF8, nullable = true): ArrowField => ({ name, type, nullable })

/** The column that places the rows of most tests. */
export const BLOCK = field("_block_num", UINT64, false)

export const requestOf = (
  table: string,
  fields: ReadonlyArray<ArrowField>,
  settings: Partial<TableSettings> = {},
  fingerprint = "f1"
): TableRequest => ({
  table,
  dataset: "_/example",
  version: "0.1.0",
  fingerprint,
  schema: { fields },
  settings: { ...noSettings, ...settings }
})

export const override = (column: string, type: string) => ({ column, type: parseOverrideType(type)! })

type Settings = Parameters<typeof testSettings>[1]

/** One process: its services on a schema of their own. */
export const bench = (settings: Settings = {}, options: PgPoolOptions = {}) =>
  Effect.flatMap(testDatabase, (database) => processOn(database, settings, options))

/** One more process on a schema. */
export const processOn = Effect.fnUntraced(function*(
  database: TestDatabase,
  settings: Settings = {},
  options: PgPoolOptions = {}
) {
  const services = yield* Layer.build(
    Layer.merge(sinkLayer, indexesLayerWith({ waitInterval: "200 millis" })).pipe(
      Layer.provideMerge(bookkeepingLayers),
      Layer.provideMerge(poolLayerWith(options)),
      Layer.provide(Layer.fresh(testSettings(database, settings)))
    )
  )
  return {
    database,
    pool: Context.get(services, PgPool),
    bookkeeping: Context.get(services, Bookkeeping),
    checkpoints: Context.get(services, Checkpoints),
    leases: Context.get(services, TableLeases),
    indexes: Context.get(services, TableIndexes),
    sink: Context.get(services, TableSink)
  }
})

/** Collects what happens to indexes, such as `built t_note_idx` and `waiting for 42`. */
export const recordedEvents = () => {
  const events: Array<string> = []
  /** Server processes; a build may wait for transactions of other tests as well. */
  const waitsFor: Array<number> = []
  const onEvent = (event: IndexEvent) =>
    Effect.sync(() => {
      if (event.kind === "waiting") waitsFor.push(event.processId)
      else if (event.kind !== "queued") events.push(`${event.kind} ${event.name}`)
    })
  return { events, waitsFor, onEvent }
}

/** As `bench`, with the bookkeeping in place. */
export const readyBench = (settings?: Settings, options?: PgPoolOptions) =>
  Effect.tap(bench(settings, options), ({ bookkeeping }) => bookkeeping.ensure)

/** Commits rows as the complete range of the blocks that the first column of `fields` names, oldest first. */
export const commitRows = Effect.fnUntraced(function*(
  writer: TableWriter,
  fields: ReadonlyArray<ArrowField>,
  rows: ReadonlyArray<ReadonlyArray<Value>>
) {
  const [start, end] = [rows[0]![0] as bigint, rows.at(-1)![0] as bigint]
  const range: BlockRange = {
    network: "anvil",
    start,
    end,
    hash: hashOf(end),
    prevHash: hashOf(start - 1n),
    timestamp: undefined
  }
  const batch = batchOf(fields.map((one, index) => columnOf(one, rows.map((row) => row[index]!))))
  const { bytes, cursor } = yield* Effect.orDie(
    Effect.fromResult(encodeWith(writer.encoder, { batch, from: 0, to: rows.length, range, cursor: undefined }))
  )
  if (writer.partitions !== undefined) yield* writer.partitions.make(range)
  const { checkpoint } = writer
  const after: Checkpoint = {
    network: "anvil",
    origin: 0n,
    history: [...checkpoint.history, { block: end, hash: hashOf(end) }],
    unverifiedFrom: undefined
  }
  const begun = addEvent(firstOf(writer).chunk, { _tag: "RangeStarted", range, checkpoint, endIsDeclared: true })
  const filled = addRows(begun, rows.length, bytes.length, cursor?.position)
  const chunk = addEvent(filled, { _tag: "Watermark", range, checkpoint: after })
  return yield* writeChunk(writer, { chunk, tuples: [bytes] })
})
