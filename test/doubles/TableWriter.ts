/** A `TableWriter` that records its transactions; a test can delay their responses or make them fail. */
import { Clock, Deferred, Effect, Result } from "effect"
import { type Checkpoint, emptyCheckpoint } from "../../src/domain/chain/Checkpoint.ts"
import type { Chunk } from "../../src/domain/chain/Chunk.ts"
import { makeCopyPlan } from "../../src/domain/postgres/encode/encodeCopy.ts"
import { makeRowEncoder } from "../../src/domain/postgres/encode/RowEncoder.ts"
import { planColumns } from "../../src/domain/postgres/types/PgType.ts"
import type { ChunkTransactions, TableWriter, WriteError } from "../../src/services/TableSink.ts"
import { batchFields } from "../support/events.ts"

/** One transaction as the database would see it. */
export interface RecordedTransaction {
  /** The argument of `open`, or of a `close` without rows. */
  deleteFrom: Chunk["deleteFrom"]
  /** COPY data, piece by piece. */
  readonly pieces: Array<Uint8Array>
  /** The argument of `close`; undefined while it is open. */
  chunk: Chunk | undefined
  readonly openedAtMillis: number
  closedAtMillis: number | undefined
  isAnswered: boolean
}

export interface TableWriterOptions {
  readonly checkpoint?: Checkpoint
  readonly rows?: bigint
  readonly rowsRemoved?: number
  /** False: as behind a pooler. */
  readonly mayOverlap?: boolean
  /** Delays or fails the COMMIT of transaction `index`, counted from 0. */
  readonly answer?: (index: number, chunk: Chunk) => Effect.Effect<void, WriteError>
  /** Delays or fails COPY data of transaction `index`. */
  readonly drained?: (index: number) => Effect.Effect<void, WriteError>
  /** Delays or fails the loan of a connection. */
  readonly connecting?: Effect.Effect<void>
  readonly isCurrent?: TableWriter["isCurrent"]
  readonly explain?: TableWriter["explain"]
  readonly encoder?: TableWriter["encoder"]
  readonly partitions?: TableWriter["partitions"]
}

export interface RecordedWriter {
  readonly writer: TableWriter
  /** The transactions of all connections, in the order in which they were opened. */
  readonly transactions: ReadonlyArray<RecordedTransaction>
  /** The chunks whose COMMIT succeeded. */
  readonly committed: () => ReadonlyArray<Chunk>
  /** The number of connections lent, and of those that came back in the middle of a transaction. */
  readonly connections: () => { readonly lent: number; readonly broken: number }
}

export const encoderOf = (fields: Parameters<typeof planColumns>[0]["fields"]): TableWriter["encoder"] =>
  makeRowEncoder(
    makeCopyPlan({
      columns: Result.getOrThrow(planColumns({ fields })),
      position: { kind: "column", index: 0, name: fields[0]!.name },
      textNul: "refuse"
    })
  )

export const recordedWriter = (options: TableWriterOptions = {}): RecordedWriter => {
  const transactions: Array<RecordedTransaction> = []
  let [lent, broken] = [0, 0]
  const writer: TableWriter = {
    encoder: options.encoder ?? encoderOf(batchFields),
    rangeMode: false,
    notes: [],
    deferred: undefined,
    checkpoint: options.checkpoint ?? emptyCheckpoint,
    commitSeq: 0n,
    rows: options.rows ?? 0n,
    provisionalRows: 0n,
    transactions: Effect.gen(function*() {
      yield* options.connecting ?? Effect.void
      lent += 1
      const connection = yield* connect(transactions, options)
      yield* Effect.addFinalizer(() => Effect.sync(() => connection.isClean() || (broken += 1)))
      return connection.use
    }),
    partitions: options.partitions,
    isCurrent: options.isCurrent ?? Effect.succeed(true),
    explain: options.explain ?? ((error) => error)
  }
  return {
    writer,
    transactions,
    committed: () => transactions.flatMap(({ chunk, isAnswered }) => chunk !== undefined && isAnswered ? [chunk] : []),
    connections: () => ({ lent, broken })
  }
}

/** Behaves as a connection of PostgreSQL: responses come in order, and after a failure everything fails with it. */
const connect = Effect.fnUntraced(function*(
  transactions: Array<RecordedTransaction>,
  { answer, drained, mayOverlap = true, rowsRemoved = 0 }: TableWriterOptions
) {
  const scope = yield* Effect.scope
  let current: RecordedTransaction | undefined
  let last: Effect.Effect<void, WriteError> = Effect.void
  let unanswered = 0
  let broken: WriteError | undefined
  const unlessBroken = <A>(effect: Effect.Effect<A, WriteError>) =>
    Effect.suspend(() => broken === undefined ? effect : Effect.fail(broken))
  const begin = Effect.fnUntraced(function*(deleteFrom: Chunk["deleteFrom"]) {
    // A deletion is awaited, and with it everything before.
    if (deleteFrom !== undefined) yield* last
    current = {
      deleteFrom,
      pieces: [],
      chunk: undefined,
      openedAtMillis: yield* Clock.currentTimeMillis,
      closedAtMillis: undefined,
      isAnswered: false
    }
    transactions.push(current)
    return current
  })
  const use: ChunkTransactions = {
    mayOverlap,
    open: (deleteFrom) => unlessBroken(Effect.asVoid(begin(deleteFrom))),
    copy: (tuples, written) =>
      unlessBroken(Effect.gen(function*() {
        if (current === undefined) return yield* Effect.die(new Error("COPY data without a transaction"))
        current.pieces.push(tuples.slice())
        written()
        yield* drained?.(transactions.indexOf(current)) ?? Effect.void
      })),
    close: (chunk) =>
      unlessBroken(Effect.gen(function*() {
        const transaction = current ?? (yield* begin(chunk.deleteFrom))
        current = undefined
        transaction.chunk = chunk
        transaction.closedAtMillis = yield* Clock.currentTimeMillis
        const outcome = yield* Deferred.make<void, WriteError>()
        const before = last
        last = Deferred.await(outcome)
        unanswered += 1
        yield* Effect.forkIn(
          before.pipe(
            Effect.andThen(Effect.suspend(() => answer?.(transactions.indexOf(transaction), chunk) ?? Effect.void)),
            Effect.tap(() =>
              Effect.sync(() => {
                transaction.isAnswered = true
                unanswered -= 1
              })
            ),
            Effect.tapError((error) => Effect.sync(() => void (broken = error))),
            Effect.exit,
            Effect.flatMap((exit) => Deferred.done(outcome, exit))
          ),
          scope
        )
        return Effect.as(Deferred.await(outcome), { rowsRemoved, provisionalRows: BigInt(chunk.provisionalRows) })
      }))
  }
  return { use, isClean: () => current === undefined && unanswered === 0 }
})

/** Fields of every tuple. Shape: per tuple int16 number of fields, then per field int32 length and the value. */
export const tuplesOf = ({ pieces }: RecordedTransaction): ReadonlyArray<ReadonlyArray<Buffer>> => {
  const bytes = Buffer.concat(pieces)
  const tuples: Array<ReadonlyArray<Buffer>> = []
  for (let at = 0; at < bytes.length;) {
    const fields: Array<Buffer> = []
    const count = bytes.readInt16BE(at)
    at += 2
    for (let index = 0; index < count; index += 1) {
      const length = bytes.readInt32BE(at)
      fields.push(bytes.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
    tuples.push(fields)
  }
  return tuples
}

/** Block number and `_row_index` of every row. */
export const rowsIn = (transaction: RecordedTransaction): ReadonlyArray<readonly [block: number, index: number]> =>
  tuplesOf(transaction).map((fields) => [Number(fields[0]!.readBigInt64BE()), fields.at(-1)!.readInt32BE()])
