import type { Data as ArrowData, DataType, RecordBatch } from "apache-arrow"
import { Type } from "apache-arrow"
import { commandDescriptor, FlightClient } from "arrow-flight-client"
import { Effect, type Scope } from "effect"
import { encodeStatementQuery } from "../../src/domain/flight/messages.ts"
import type { PlainValue } from "../../src/simulator/columns.ts"

/**
 * Reads the simulator with `arrow-flight-client`, which is not ours, and apache-arrow: an independent judge of what it sends.
 */

export interface RangeMetadata {
  readonly numbers: { readonly start: number; readonly end: number }
  readonly network: string
  readonly hash: string
  readonly prev_hash: string | null
  readonly timestamp?: number
}

/** One record batch with the JSON that came with it. */
export interface ReadBatch {
  readonly batch: RecordBatch
  readonly rows: number
  readonly ranges: ReadonlyArray<RangeMetadata>
  readonly complete: boolean | undefined
}

export type Headers = Readonly<Record<string, string>>

/** An endless stream that is read message by message. */
export interface OpenStream {
  /** The next batch; none at a clean end. Rejects with the status of the server. */
  readonly next: () => Promise<ReadBatch | undefined>
  readonly close: () => Promise<void>
}

export class ArrowFlightReader {
  readonly client: FlightClient

  constructor(url: string) {
    this.client = new FlightClient(new URL(url).host, { maxReceiveMessageLength: 64 * 1024 * 1024 })
  }

  async ticket(sql: string, headers: Headers = {}): Promise<Uint8Array> {
    const info = await this.client.getFlightInfo(commandDescriptor(encodeStatementQuery(sql)), { metadata: headers })
    return info.endpoints[0]!.ticket!
  }

  async open(sql: string, headers: Headers = {}): Promise<OpenStream> {
    const { authorization } = headers
    const metadata = authorization === undefined ? {} : { authorization }
    const reader = await this.client.doGet(await this.ticket(sql, headers), { metadata })
    const chunks = reader[Symbol.asyncIterator]()
    return {
      next: async () => {
        for (;;) {
          const { done, value } = await chunks.next()
          if (done === true) return undefined
          if (value.data === null) continue
          const json = JSON.parse(Buffer.from(value.appMetadata ?? "").toString()) as {
            ranges: ReadonlyArray<RangeMetadata>
            ranges_complete?: boolean
          }
          return { batch: value.data, rows: value.data.numRows, ranges: json.ranges, complete: json.ranges_complete }
        }
      },
      close: () => reader.cancel().catch(() => undefined)
    }
  }

  /** Every batch of a query that ends. */
  async batches(sql: string, headers: Headers = {}): Promise<ReadonlyArray<ReadBatch>> {
    const stream = await this.open(sql, headers)
    const batches: Array<ReadBatch> = []
    for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) batches.push(batch)
    return batches
  }
}

/** A reader of `url` that is closed with the scope. */
export const arrowFlightReader = (url: string): Effect.Effect<ArrowFlightReader, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new ArrowFlightReader(url)),
    (reader) => Effect.promise(() => reader.client.close())
  )

/** Rows of a batch as plain values, read from the raw buffers where apache-arrow's getters would round. */
export const rowsOf = (batch: RecordBatch): ReadonlyArray<Record<string, PlainValue>> =>
  Array.from(
    { length: batch.numRows },
    (_, row) =>
      Object.fromEntries(batch.schema.fields.map((field, i) => [field.name, valueOf(batch.data.children[i]!, row)]))
  )

const valueOf = (data: ArrowData<DataType>, row: number): PlainValue => {
  if (!data.getValid(row)) return null
  const at = data.offset + row
  switch (data.typeId) {
    case Type.List: {
      const [begin, end] = [data.valueOffsets[row], data.valueOffsets[row + 1]]
      return Array.from({ length: end - begin }, (_, item) => valueOf(data.children[0]!, begin + item))
    }
    case Type.Struct: {
      const names = data.type.children.map((_: { readonly name: string }) => _.name)
      return Object.fromEntries(names.map((name: string, i: number) => [name, valueOf(data.children[i]!, row)]))
    }
    case Type.Bool:
      return ((data.values as Uint8Array)[at >> 3]! & (1 << (at & 7))) !== 0
    case Type.Decimal: {
      const words = data.values as Uint32Array
      const word = (i: number) => BigInt(words[row * 4 + i]!) << BigInt(32 * i)
      return BigInt.asIntN(128, word(0) | word(1) | word(2) | word(3))
    }
    case Type.FixedSizeBinary:
      return (data.values as Uint8Array).slice(row * data.stride, (row + 1) * data.stride)
    case Type.Binary:
      return (data.values as Uint8Array).slice(data.valueOffsets[row], data.valueOffsets[row + 1])
    case Type.Utf8:
      return Buffer.from((data.values as Uint8Array).subarray(data.valueOffsets[row], data.valueOffsets[row + 1]))
        .toString()
    default:
      return (data.values as BigInt64Array | Int32Array)[row]!
  }
}
