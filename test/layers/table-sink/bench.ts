/** Tables on a real server, filled through the sink: what one process would do, without a stream. */
import { Context, Effect, Layer, Result } from "effect"
import type { ArrowField, ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import type { BlockRange } from "../../../src/domain/chain/BlockRange.ts"
import { addPart, firstChunk, type Part } from "../../../src/domain/chain/Chunk.ts"
import type { Known } from "../../../src/domain/chain/FollowState.ts"
import { parseOverrideType } from "../../../src/domain/postgres/columnOverride.ts"
import { noSettings, type TableSettings } from "../../../src/domain/TableSettings.ts"
import { layer as checkpointsLayer } from "../../../src/layers/Checkpoints.ts"
import { layer as poolLayer } from "../../../src/layers/PgPool.ts"
import { layer as indexesLayer } from "../../../src/layers/TableIndexes.ts"
import { layer as sinkLayer } from "../../../src/layers/TableSink.ts"
import { Checkpoints } from "../../../src/services/Checkpoints.ts"
import { PgPool } from "../../../src/services/PgPool.ts"
import { TableIndexes } from "../../../src/services/TableIndexes.ts"
import { type TableRequest, TableSink, type TableWriter } from "../../../src/services/TableSink.ts"
import { batchOf, columnOf, type Value } from "../../domain/arrow/columns.ts"
import { encodeAll } from "../../support/encodeAll.ts"
import { type TestDatabase, testDatabase } from "../../support/postgres.ts"
import { testSettings } from "../../support/testSettings.ts"

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
export const bench = (settings: Settings = {}) =>
  Effect.flatMap(testDatabase, (database) => processOn(database, settings))

/** One more process on a schema. */
export const processOn = Effect.fnUntraced(function*(database: TestDatabase, settings: Settings = {}) {
  const services = yield* Layer.build(
    Layer.merge(sinkLayer, indexesLayer).pipe(
      Layer.provideMerge(checkpointsLayer),
      Layer.provideMerge(poolLayer),
      Layer.provide(Layer.fresh(testSettings(database, settings)))
    )
  )
  return {
    database,
    pool: Context.get(services, PgPool),
    checkpoints: Context.get(services, Checkpoints),
    indexes: Context.get(services, TableIndexes),
    sink: Context.get(services, TableSink)
  }
})

/** As `bench`, with the bookkeeping in place. */
export const readyBench = (settings?: Settings) => Effect.tap(bench(settings), ({ checkpoints }) => checkpoints.ensure)

const hashOf = (block: bigint): string => `0x${block.toString(16).padStart(64, "0")}`

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
  const { bytes } = yield* Effect.orDie(
    Effect.fromResult(Result.mapError(
      encodeAll(writer.plan, { batch, from: 0, to: rows.length, range, cursor: undefined }),
      (error) => new Error(error.message)
    ))
  )
  const known: Known = {
    network: "anvil",
    origin: 0n,
    history: [...writer.known.history, { block: end, hash: hashOf(end) }],
    unverifiedFrom: undefined
  }
  const parts: ReadonlyArray<Part> = [
    { _tag: "Range", range, known: writer.known, endIsTold: true },
    { _tag: "Rows", bytes, rows: rows.length },
    { _tag: "Watermark", range, known }
  ]
  return yield* writer.commit(parts.reduce(addPart, firstChunk(writer.known)))
})
