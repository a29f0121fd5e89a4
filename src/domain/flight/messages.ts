/** Encodes and decodes the messages of Arrow Flight. */
import { Result } from "effect"
import type { FlightData } from "./FlightData.ts"
import {
  expectWireType,
  int64Of,
  LENGTH_DELIMITED,
  type MalformedFlightMessage,
  readFields,
  textOf,
  VARINT
} from "./wire.ts"
import { assemble, bytesField, embeddedField, int64Field, stringField } from "./wireWriter.ts"

export { decodeStatementQuery, encodeStatementQuery } from "./statementQuery.ts"
export { MalformedFlightMessage } from "./wire.ts"

/**
 * The messages of Arrow Flight that a query needs. Decoders copy nothing: byte fields are views of the input.
 *
 * Source: Apache Arrow, format/Flight.proto.
 */

type Decoded<A> = Result.Result<A, MalformedFlightMessage>

/** Values of `FlightDescriptor.type`. */
export const DESCRIPTOR_CMD = 2

export interface FlightDescriptor {
  readonly type: number
  readonly cmd: Uint8Array
}

export interface FlightEndpoint {
  readonly ticket: Uint8Array
  /** URIs of the servers that accept the ticket; none means the server that returned it. */
  readonly locations: ReadonlyArray<string>
}

export interface FlightInfo {
  /** Encapsulated IPC message of the schema. */
  readonly schema: Uint8Array
  readonly descriptor: FlightDescriptor | undefined
  readonly endpoints: ReadonlyArray<FlightEndpoint>
  /** -1 where the server does not know. */
  readonly totalRecords: bigint
  readonly totalBytes: bigint
  readonly ordered: boolean
}

const EMPTY = new Uint8Array(0)

export const encodeFlightDescriptor = (descriptor: FlightDescriptor): Uint8Array =>
  assemble([...int64Field(1, BigInt(descriptor.type)), ...bytesField(2, descriptor.cmd)])

/** Fails: `MalformedFlightMessage`. The path of a PATH descriptor is not kept. */
export const decodeFlightDescriptor = (bytes: Uint8Array): Decoded<FlightDescriptor> => {
  let type = 0
  let cmd: Uint8Array = EMPTY
  return Result.map(
    readFields("FlightDescriptor", bytes, (field) => {
      if (field.number > 2) return undefined
      const wrong = expectWireType(field, field.number === 1 ? VARINT : LENGTH_DELIMITED)
      if (wrong !== undefined) return wrong
      if (field.number === 1) type = field.low | 0
      else cmd = field.bytes
      return undefined
    }),
    () => ({ type, cmd })
  )
}

export const encodeTicket = (ticket: Uint8Array): Uint8Array => assemble(bytesField(1, ticket))

/** Fails: `MalformedFlightMessage`. */
export const decodeTicket = (bytes: Uint8Array): Decoded<Uint8Array> => {
  let ticket: Uint8Array = EMPTY
  return Result.map(
    readFields("Ticket", bytes, (field) => {
      if (field.number !== 1) return undefined
      ticket = field.bytes
      return expectWireType(field, LENGTH_DELIMITED)
    }),
    () => ticket
  )
}

const encodeEndpoint = (endpoint: FlightEndpoint) => [
  ...embeddedField(1, bytesField(1, endpoint.ticket)),
  ...endpoint.locations.flatMap((uri) => embeddedField(2, stringField(1, uri)))
]

const decodeLocation = (bytes: Uint8Array): Decoded<string> => {
  let uri = ""
  return Result.map(
    readFields("Location", bytes, (field) => {
      if (field.number !== 1) return undefined
      const wrong = expectWireType(field, LENGTH_DELIMITED)
      if (wrong !== undefined) return wrong
      const text = textOf(field.bytes)
      if (Result.isFailure(text)) return text.failure
      uri = text.success
      return undefined
    }),
    () => uri
  )
}

const decodeEndpoint = (bytes: Uint8Array): Decoded<FlightEndpoint> => {
  let ticket: Uint8Array = EMPTY
  const locations: Array<string> = []
  return Result.map(
    readFields("FlightEndpoint", bytes, (field) => {
      if (field.number > 2) return undefined
      const wrong = expectWireType(field, LENGTH_DELIMITED)
      if (wrong !== undefined) return wrong
      if (field.number === 1) {
        const inner = decodeTicket(field.bytes)
        if (Result.isFailure(inner)) return inner.failure.message
        ticket = inner.success
      } else {
        const inner = decodeLocation(field.bytes)
        if (Result.isFailure(inner)) return inner.failure.message
        locations.push(inner.success)
      }
      return undefined
    }),
    () => ({ ticket, locations })
  )
}

export const encodeFlightInfo = (info: FlightInfo): Uint8Array =>
  assemble([
    ...bytesField(1, info.schema),
    ...(info.descriptor === undefined ? [] : embeddedField(2, [encodeFlightDescriptor(info.descriptor)])),
    ...info.endpoints.flatMap((endpoint) => embeddedField(3, encodeEndpoint(endpoint))),
    ...int64Field(4, info.totalRecords),
    ...int64Field(5, info.totalBytes),
    ...int64Field(6, info.ordered ? 1n : 0n)
  ])

/** Fails: `MalformedFlightMessage`. */
export const decodeFlightInfo = (bytes: Uint8Array): Decoded<FlightInfo> => {
  let schema: Uint8Array = EMPTY
  let descriptor: FlightDescriptor | undefined
  const endpoints: Array<FlightEndpoint> = []
  let totalRecords = 0n
  let totalBytes = 0n
  let ordered = false
  return Result.map(
    readFields("FlightInfo", bytes, (field) => {
      if (field.number > 6) return undefined
      const wrong = expectWireType(field, field.number < 4 ? LENGTH_DELIMITED : VARINT)
      if (wrong !== undefined) return wrong
      if (field.number === 1) schema = field.bytes
      else if (field.number === 4) totalRecords = int64Of(field)
      else if (field.number === 5) totalBytes = int64Of(field)
      else if (field.number === 6) ordered = field.low !== 0 || field.high !== 0
      else if (field.number === 2) {
        const inner = decodeFlightDescriptor(field.bytes)
        if (Result.isFailure(inner)) return inner.failure.message
        descriptor = inner.success
      } else {
        const inner = decodeEndpoint(field.bytes)
        if (Result.isFailure(inner)) return inner.failure.message
        endpoints.push(inner.success)
      }
      return undefined
    }),
    () => ({ schema, descriptor, endpoints, totalRecords, totalBytes, ordered })
  )
}

const DATA_BODY = 1000

export const encodeFlightData = (data: FlightData): Uint8Array =>
  assemble([
    ...bytesField(2, data.dataHeader),
    ...bytesField(3, data.appMetadata),
    ...bytesField(DATA_BODY, data.dataBody)
  ])

/** Fails: `MalformedFlightMessage`. The three parts are views of `bytes`; absent ones are empty. */
export const decodeFlightData = (bytes: Uint8Array): Decoded<FlightData> => {
  let dataHeader: Uint8Array = EMPTY
  let dataBody: Uint8Array = EMPTY
  let appMetadata: Uint8Array = EMPTY
  return Result.map(
    readFields("FlightData", bytes, (field) => {
      if (field.number !== 2 && field.number !== 3 && field.number !== DATA_BODY) return undefined
      if (field.number === 2) dataHeader = field.bytes
      else if (field.number === 3) appMetadata = field.bytes
      else dataBody = field.bytes
      return expectWireType(field, LENGTH_DELIMITED)
    }),
    () => ({ dataHeader, dataBody, appMetadata })
  )
}
