/** Chunks of a table with two rows per block, and what an attempt does with a table: acquire, prepare, write. */
import { Effect } from "effect"
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import type { Checkpoint } from "../../src/domain/chain/Checkpoint.ts"
import { addEvent, addRows, type Chunk, emptyChunk, firstChunk } from "../../src/domain/chain/Chunk.ts"
import type { Reorg } from "../../src/domain/chain/TableEvent.ts"
import type { TableRequest, TableSink, TableWriter } from "../../src/services/TableSink.ts"
import type { TestDatabase } from "./postgres.ts"

/** Acquires the lease of a table and prepares the table, as an attempt does. */
export const prepareTable = (sink: TableSink["Service"], request: TableRequest) =>
  Effect.flatMap(sink.acquire(request), (lease) => sink.prepare(lease, request))

/** A chunk and the COPY BINARY tuples of its rows. */
export interface FilledChunk {
  readonly chunk: Chunk
  readonly tuples: ReadonlyArray<Uint8Array>
}

/** Writes one chunk on a connection of its own and waits for the outcome; a failure is explained. */
export const writeChunk = (writer: TableWriter, { chunk, tuples }: FilledChunk) =>
  Effect.gen(function*() {
    const transactions = yield* writer.transactions
    if (tuples.length > 0) yield* transactions.open(chunk.deleteFrom)
    for (const piece of tuples) yield* transactions.copy(piece, () => {})
    return yield* Effect.flatten(transactions.close(chunk))
  }).pipe(Effect.scoped, Effect.mapError((error) => writer.explain(error, chunk)))

/** Tables of which a lease was acquired and nothing was recorded. */
export const neverFilled = ({ query }: TestDatabase) =>
  Effect.map(
    query<{ name: string }>(
      `SELECT table_name AS name FROM _ampsync_checkpoints
       WHERE num_nulls(position_column, query_fingerprint, column_names, max_block_num) = 4 ORDER BY 1`
    ),
    (rows) => rows.map(({ name }) => name)
  )

/** `block:notes` of every block of a table. */
export const contents = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<{ block: string; notes: string }>(
      `SELECT _block_num AS block, string_agg(note || _row_index, ',' ORDER BY _row_index) AS notes FROM ${table} GROUP BY 1 ORDER BY 1`
    ),
    (rows) => rows.map(({ block, notes }) => `${block}:${notes}`)
  )

/** All that a transaction of a chunk may change. */
export const everything = (database: TestDatabase) =>
  Effect.all([
    contents(database),
    database.query("SELECT * FROM _ampsync_checkpoints"),
    database.query("SELECT table_name, block_num, hash FROM _ampsync_watermarks ORDER BY 1, 2"),
    database.query("SELECT * FROM _ampsync_reorgs ORDER BY id")
  ])

const field = (bytes: number, value: bigint): Buffer => {
  const buffer = Buffer.alloc(4 + bytes)
  buffer.writeInt32BE(bytes, 0)
  if (bytes === 8) buffer.writeBigInt64BE(value, 4)
  else buffer.writeInt32BE(Number(value), 4)
  return buffer
}

/** One tuple of a table of `_block_num`, `note`, `_row_index`. */
export const tupleOf = (block: bigint, note: string, index: number): Buffer => {
  const text = Buffer.from(note)
  const length = Buffer.alloc(4)
  length.writeInt32BE(text.length, 0)
  return Buffer.concat([Buffer.of(0, 3), field(8, block), length, text, field(4, BigInt(index))])
}

export const hashOf = (block: bigint, fork = 0): string => `0x${fork}${block.toString(16).padStart(63, "0")}`

export const rangeOf = (start: bigint, end: bigint, fork = 0): BlockRange => ({
  network: "anvil",
  start,
  end,
  hash: hashOf(end, fork),
  prevHash: hashOf(start - 1n),
  timestamp: 1_700_000_000
})

/** What is durable with these watermarks, each a block and the fork it is on. */
export const checkpointOf = (...watermarks: ReadonlyArray<readonly [block: bigint, fork: number]>): Checkpoint => ({
  network: "anvil",
  origin: 0n,
  history: watermarks.map(([block, fork]) => ({ block, hash: hashOf(block, fork) })),
  unverifiedFrom: undefined
})

export const noRows = (checkpoint: Checkpoint, deleteFrom?: bigint | "all"): FilledChunk => ({
  chunk: emptyChunk(checkpoint, deleteFrom),
  tuples: []
})

/** The first chunk of an attempt, without rows so far. */
export const firstOf = ({ checkpoint }: TableWriter): FilledChunk => ({ chunk: firstChunk(checkpoint), tuples: [] })

/** Adds a range with two rows for each of its blocks; complete where `after` is given. */
export const withRange = (filled: FilledChunk, range: BlockRange, note: string, after?: Checkpoint): FilledChunk => {
  const blocks = Array.from({ length: Number(range.end - range.start) + 1 }, (_, i) => range.start + BigInt(i))
  const tuples = Buffer.concat(blocks.flatMap((block) => [tupleOf(block, note, 0), tupleOf(block, note, 1)]))
  const begun = withoutRows(filled, range)
  const chunk = addRows(begun.chunk, blocks.length * 2, tuples.length, range.end)
  return completed({ chunk, tuples: [...begun.tuples, tuples] }, range, after)
}

/** Adds a range that has no rows; complete where `after` is given. */
export const withoutRows = ({ chunk, tuples }: FilledChunk, range: BlockRange, after?: Checkpoint): FilledChunk => {
  const begun = addEvent(chunk, { _tag: "RangeStarted", range, checkpoint: chunk.checkpoint, endIsDeclared: true })
  return completed({ chunk: begun, tuples }, range, after)
}

const completed = ({ chunk, tuples }: FilledChunk, range: BlockRange, after: Checkpoint | undefined): FilledChunk => ({
  chunk: after === undefined ? chunk : addEvent(chunk, { _tag: "Watermark", range, checkpoint: after }),
  tuples
})

export const withReorg = ({ chunk, tuples }: FilledChunk, reorg: Omit<Reorg, "_tag" | "watermark">): FilledChunk => ({
  chunk: addEvent(chunk, { _tag: "Reorg", watermark: reorg.checkpoint.history.at(-1), ...reorg }),
  tuples
})
