import type { Data as ArrowData, DataType, Decimal, RecordBatch } from "apache-arrow"
import { RecordBatchReader, Type } from "apache-arrow"
import { commandDescriptor, FlightClient } from "arrow-flight-client"
import { Effect, type Scope } from "effect"
import { encodeStatementQuery } from "../../src/domain/flight/messages.ts"
import type { PlainValue } from "../../src/simulator/columns.ts"

/**
 * Reads the simulator with `arrow-flight-client` and apache-arrow, which check independently what it sends.
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

/** A stream that does not end, read message by message. */
export interface OpenStream {
  /** The next batch; undefined at a clean end. Rejects with the status of the server. */
  readonly next: () => Promise<ReadBatch | undefined>
  readonly close: () => Promise<void>
}

export class ArrowFlightReader {
  readonly client: FlightClient

  /** `headers` go with every call, those of a single query only with GetFlightInfo. */
  constructor(url: string, headers: Headers = {}) {
    this.client = new FlightClient(new URL(url).host, { maxReceiveMessageLength: 64 * 1024 * 1024, metadata: headers })
  }

  async ticket(sql: string, headers: Headers = {}): Promise<Uint8Array> {
    const info = await this.client.getFlightInfo(commandDescriptor(encodeStatementQuery(sql)), { metadata: headers })
    return info.endpoints[0]!.ticket!
  }

  /**
   * Opens a stream below the client's own reader: that one hands out a batch only when the next message has arrived, which at
   * the tip of a chain is too late. Messages and batches are still decoded by others than us.
   */
  async open(sql: string, headers: Headers = {}): Promise<OpenStream> {
    const ticket = Buffer.from(await this.ticket(sql, headers))
    const closing = new AbortController()
    const messages = this.client.raw.doGet({ ticket }, { signal: closing.signal })[Symbol.asyncIterator]()
    let schema: Uint8Array = new Uint8Array(0)
    return {
      next: async () => {
        for (;;) {
          const { done, value } = await messages.next()
          if (done === true) return undefined
          const message = encapsulated(value.dataHeader, value.dataBody)
          if (value.appMetadata.length > 0) {
            const batch = RecordBatchReader.from(Buffer.concat([schema, message])).next().value as RecordBatch
            return readBatch(batch, value.appMetadata)
          }
          schema = message
        }
      },
      close: async () => closing.abort()
    }
  }

  /** Every batch of a query that ends. */
  async batches(sql: string, headers: Headers = {}): Promise<ReadonlyArray<ReadBatch>> {
    const reader = await this.client.doGet(await this.ticket(sql, headers))
    const batches: Array<ReadBatch> = []
    for await (const { appMetadata, data } of reader) {
      if (data !== null) batches.push(readBatch(data, appMetadata ?? new Uint8Array(0)))
    }
    return batches
  }
}

/** One message of an IPC stream: marker, length, metadata padded to 8 bytes, body. */
const encapsulated = (header: Uint8Array, body: Uint8Array): Uint8Array => {
  const padded = (header.length + 7) & ~7
  const message = Buffer.alloc(8 + padded + body.length)
  message.writeInt32LE(-1, 0)
  message.writeInt32LE(padded, 4)
  message.set(header, 8)
  message.set(body, 8 + padded)
  return message
}

const readBatch = (batch: RecordBatch, appMetadata: Uint8Array): ReadBatch => {
  const json = JSON.parse(Buffer.from(appMetadata).toString()) as {
    ranges: ReadonlyArray<RangeMetadata>
    ranges_complete?: boolean
  }
  return { batch, rows: batch.numRows, ranges: json.ranges, complete: json.ranges_complete }
}

/** A reader of `url` that is closed with the scope. */
export const arrowFlightReader = (
  url: string,
  headers: Headers = {}
): Effect.Effect<ArrowFlightReader, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new ArrowFlightReader(url, headers)),
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
      const { bitWidth } = data.type as Decimal
      const count = bitWidth / 32
      let value = 0n
      for (let i = count - 1; i >= 0; i -= 1) value = (value << 32n) | BigInt(words[row * count + i]!)
      return BigInt.asIntN(bitWidth, value)
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
