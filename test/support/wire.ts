/** Recordings of real servers, and calls of the simulator recorded in the same shape. */
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js"
import { Message, MessageHeader, RecordBatchReader } from "apache-arrow"
import { Effect, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { encodeFlightDescriptor, encodeStatementQuery, encodeTicket } from "../../src/domain/flight/messages.ts"
import { readFields } from "../../src/domain/flight/wire.ts"

export interface WireMessage {
  readonly kind: string
  /** Numbers of the protobuf fields that are on the wire, in their order. */
  readonly fields: ReadonlyArray<number>
  readonly rows?: number
  /** `app_metadata` as text; absent on a schema message. */
  readonly metadata?: string | null
  /** The flatbuffer of the Arrow message in base64, where the fixture keeps it. */
  readonly header?: string
}

export interface WireCall {
  readonly sql: string
  readonly headers: Readonly<Record<string, string>>
  /** Null where GetFlightInfo failed. */
  readonly info: {
    readonly fields: ReadonlyArray<number>
    readonly endpointFields: ReadonlyArray<number>
    /** `name: type`, and `N` or `?` for columns that are never or may be null. */
    readonly schema: ReadonlyArray<string>
  } | null
  readonly messages: ReadonlyArray<WireMessage>
  /** Null where the client cancelled the stream. */
  readonly end: { readonly call: string; readonly code: number; readonly details: string } | null
}

/** The calls of one fixture by name. */
export const recorded = (fixture: string): Readonly<Record<string, WireCall>> => {
  const text = readFileSync(new URL(`../fixtures/wire/${fixture}.json`, import.meta.url), "utf8")
  return (JSON.parse(text) as { calls: Readonly<Record<string, WireCall>> }).calls
}

export interface WireRange {
  readonly start: number
  readonly end: number
  readonly hash: string
}

/** The ranges that the messages of a call name, each once. */
export const rangesOf = (messages: ReadonlyArray<WireMessage>): ReadonlyArray<WireRange> => {
  const all = messages.flatMap(({ metadata }) =>
    metadata === undefined || metadata === null
      ? []
      : (JSON.parse(metadata) as { ranges: ReadonlyArray<{ hash: string; numbers: { start: number; end: number } }> })
        .ranges.map(({ hash, numbers }) => ({ ...numbers, hash }))
  )
  return all.filter((range, i) => all[i - 1]?.hash !== range.hash || all[i - 1]?.start !== range.start)
}

/** Hashes and times of a recording as names, so that two recordings of the same situation have the same text. */
export const namesOf = (call: WireCall): (text: string) => string => {
  const names = new Map([[`0x${"0".repeat(64)}`, "zero"]])
  const nameOf = (hash: string): string => {
    if (!names.has(hash)) names.set(hash, `hash ${names.size}`)
    return names.get(hash)!
  }
  for (const header of Object.values(call.headers)) for (const [hash] of header.matchAll(HASH)) nameOf(hash)
  return (text) => text.replaceAll(HASH, nameOf).replaceAll(/"timestamp":\d+/g, "\"timestamp\":seconds")
}

const HASH = /0x[0-9a-f]{64}/g

/** One line for each message, equal neighbours once: how rows are split into messages depends on their size. */
export const linesOf = (call: WireCall): ReadonlyArray<string> => {
  const named = namesOf(call)
  const lines = call.messages.map(({ fields, kind, metadata, rows = 0 }) =>
    [kind, rows > 0 ? "rows" : "no rows", fields.join(" "), named(metadata ?? "")].join(" | ")
  )
  return lines.filter((line, i) => lines[i - 1] !== line)
}

/** The empty batch that a streaming server may send when a range begins, or may not. */
export const isKeepAlive = ({ metadata, rows }: WireMessage): boolean =>
  rows === 0 && metadata?.endsWith(`"ranges_complete":false}`) === true

const SERVICE = "/arrow.flight.protocol.FlightService"
const asIs = (bytes: Buffer) => bytes

const fieldsOf = (bytes: Uint8Array): ReadonlyArray<number> => {
  const numbers: Array<number> = []
  readFields("Recorded", bytes, (field) => {
    numbers.push(field.number)
    return undefined
  })
  return numbers
}

const bytesOf = (bytes: Uint8Array, wanted: number): Buffer => {
  let found = Buffer.alloc(0)
  readFields("Recorded", bytes, (field) => {
    if (field.number === wanted) found = Buffer.from(field.bytes)
    return undefined
  })
  return found
}

const messageOf = (bytes: Uint8Array): WireMessage => {
  const decoded = Message.decode(bytesOf(bytes, 2))
  const base = { kind: MessageHeader[decoded.headerType]!, fields: fieldsOf(bytes) }
  if (decoded.headerType === MessageHeader.Schema) return base
  const { length } = decoded.header() as unknown as { length: number }
  return { ...base, rows: length, metadata: bytesOf(bytes, 3).toString() }
}

const endOf = (call: string, { code, details }: ServiceError): WireCall["end"] => ({ call, code, details })

/** A call in progress. */
export interface WireStream {
  readonly call: WireCall
  /** The next message, which is recorded too; undefined at the end. */
  readonly next: () => Promise<WireMessage | undefined>
}

/** Plans a query and opens its stream, as the client did that made the recordings; both close with the scope. */
export const openCall = (
  url: string,
  sql: string,
  headers: WireCall["headers"]
): Effect.Effect<WireStream, never, Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new Client(new URL(url).host, credentials.createInsecure(), { "grpc.max_receive_message_length": -1 })
      ),
      (_) => Effect.sync(() => _.close())
    )
    const metadata = new Metadata()
    for (const [key, value] of Object.entries(headers)) metadata.set(key, value)
    const call = { sql, headers, info: null, messages: new Array<WireMessage>(), end: null as WireCall["end"] }
    const planned = yield* Effect.promise(() =>
      new Promise<Buffer | ServiceError>((resolve) => {
        const descriptor = Buffer.from(encodeFlightDescriptor({ type: 2, cmd: encodeStatementQuery(sql) }))
        client.makeUnaryRequest(`${SERVICE}/GetFlightInfo`, asIs, asIs, descriptor, metadata, (error, value) => {
          resolve(error ?? value!)
        })
      })
    )
    if (!Buffer.isBuffer(planned)) {
      return { call: { ...call, end: endOf("GetFlightInfo", planned) }, next: async () => undefined }
    }
    const endpoint = bytesOf(planned, 3)
    const { fields } = RecordBatchReader.from(bytesOf(planned, 1)).open().schema
    const info = {
      fields: fieldsOf(planned),
      endpointFields: fieldsOf(endpoint),
      schema: fields.map(({ name, nullable, type }) => `${name}: ${String(type)} ${nullable ? "?" : "N"}`)
    }
    const ticket = Buffer.from(encodeTicket(bytesOf(bytesOf(endpoint, 1), 1)))
    const stream = yield* Effect.acquireRelease(
      Effect.sync(() => client.makeServerStreamRequest(`${SERVICE}/DoGet`, asIs, asIs, ticket)),
      (_) => Effect.sync(() => _.cancel())
    )
    const opened = { ...call, info }
    stream.on("error", () => {})
    const ended = new Promise<undefined>((resolve) =>
      stream.on("status", ({ code, details }) => {
        // With OK the server library of the simulator sends the word "OK", the real servers send none.
        if (code !== 1) opened.end = { call: "DoGet", code, details: code === 0 ? "" : details }
        resolve(undefined)
      })
    )
    const messages = stream[Symbol.asyncIterator]()
    return {
      call: opened,
      next: async () => {
        const { done, value } = await messages.next().catch(() => ({ done: true, value: undefined }))
        if (done === true) return ended
        const message = messageOf(value as Buffer)
        opened.messages.push(message)
        return message
      }
    }
  })
