import { Effect, type Scope } from "effect"
import { type Simulator, type SimulatorOptions, startSimulator } from "../../src/simulator/Simulator.ts"
import type { Dialect, TableName } from "../../src/simulator/tables.ts"
import { type ArrowFlightReader, arrowFlightReader, type Headers, type OpenStream } from "./arrowFlightReader.ts"
import { type RangeMetadata, type ReadBatch, rowsOf } from "./arrowFlightReader.ts"

/** A simulator with a reader, and the steps of tests of its streams. */

export interface Desk {
  readonly simulator: Simulator
  readonly reader: ArrowFlightReader
  /** Opens a stream of `table`; it is closed with the scope. */
  readonly stream: (
    table: TableName,
    headers?: Headers,
    where?: string
  ) => Effect.Effect<OpenStream, unknown, Scope.Scope>
  /** The header that resumes after block `number` with `hash` (its canonical one by default). */
  readonly cursor: (number: bigint, hash?: string) => Headers
}

export const tableOf = (dialect: Dialect, table: TableName): string =>
  dialect === "amp" ? `"_/anvil@0.1.0".${table}` : `anvil.${table}`

export const desk = (options: SimulatorOptions): Effect.Effect<Desk, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const { dialect } = options
    const simulator = yield* startSimulator(options)
    const reader = yield* arrowFlightReader(simulator.flightUrl)
    return {
      simulator,
      reader,
      stream: (table, headers = {}, where = "") =>
        Effect.acquireRelease(
          Effect.tryPromise(() =>
            reader.open(`SELECT * FROM ${tableOf(dialect, table)} ${where} SETTINGS stream = true`, headers)
          ),
          (stream) => Effect.promise(stream.close)
        ),
      cursor: (number, hash = simulator.chain.hashAt(number)) => ({
        [`${dialect}-resume`]: JSON.stringify({ [simulator.network]: { number: Number(number), hash } })
      })
    }
  })

/** The next batch; `undefined` at the end. */
export const next = (stream: OpenStream): Effect.Effect<ReadBatch | undefined> => Effect.promise(stream.next)

/** True when nothing arrives for `millis`. Call it last: later messages are lost. */
export const isSilent = (stream: OpenStream, millis = 150): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Promise.race([
      stream.next().then(() => false, () => false),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(true), millis))
    ])
  )

/** A range as it was delivered: its batches, keep-alive and completion included. */
export interface DeliveredRange {
  readonly range: RangeMetadata
  readonly batches: ReadonlyArray<ReadBatch>
}

/** Reads `count` ranges, each until `isLast` is true. */
export const ranges = (
  stream: OpenStream,
  isLast: (delivered: ReadonlyArray<ReadBatch>) => boolean,
  count = 1
): Effect.Effect<Array<DeliveredRange>> =>
  Effect.gen(function*() {
    const delivered: Array<DeliveredRange> = []
    while (delivered.length < count) {
      const batches: Array<ReadBatch> = []
      do {
        const batch = yield* next(stream)
        if (batch === undefined) return delivered
        batches.push(batch)
      } while (!isLast(batches))
      delivered.push({ range: batches[0]!.ranges[0]!, batches })
    }
    return delivered
  })

/** amp: the range is complete. */
export const completed = (delivered: ReadonlyArray<ReadBatch>): boolean => delivered.at(-1)?.complete === true

/** nozzle: one batch is all there is. */
export const oneBatch = (): boolean => true

export const isLastOf = (dialect: Dialect) => dialect === "amp" ? completed : oneBatch

export const rowsOfRange = ({ batches }: DeliveredRange) => batches.flatMap((_) => rowsOf(_.batch))

/** `[start, end]` of a range. */
export const span = ({ range }: DeliveredRange): readonly [number, number] => [range.numbers.start, range.numbers.end]
