/** The HTTP/2 side of a Flight server: two methods of gRPC on Node's own `http2`, without decoding messages. */
import { Result } from "effect"
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import type { AddressInfo } from "node:net"
import { decodeFlightDescriptor, decodeTicket, encodeFlightInfo } from "../../../src/domain/flight/messages.ts"
import { decodeStatementQuery } from "../../../src/domain/flight/statementQuery.ts"
import { grpcFrame } from "./cannedStream.ts"

const SERVICE = "/arrow.flight.protocol.FlightService"
const UNIMPLEMENTED = 12
const INTERNAL = 13

export interface FlightCalls {
  /** Schema of a query, and the ticket that `doGet` is to be asked with. */
  readonly flightInfo: (sql: string, headers: IncomingHttpHeaders) => {
    readonly schema: Uint8Array
    readonly ticket: Uint8Array
  }
  /** Sends frames to `stream`, whose headers are sent; `stream.end()` ends it with status OK. */
  readonly doGet: (ticket: Uint8Array, stream: ServerHttp2Stream) => void
}

/** Serves on a free port of the loopback, which is the answer. */
export const serveGrpc = (calls: FlightCalls): Promise<number> => {
  const server = http2.createServer({
    settings: { maxConcurrentStreams: 1_000, initialWindowSize: 1024 * 1024 },
    // In megabytes. The default of 10 refuses new streams while others have unsent bytes.
    maxSessionMemory: 4_096
  })
  server.on("session", (session) => session.on("error", () => undefined))
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined)
    const parts: Array<Buffer> = []
    stream.on("data", (part: Buffer) => parts.push(part))
    // The length prefix is not needed: a request is exactly one message.
    stream.once("end", () => answer(calls, stream, headers, Buffer.concat(parts).subarray(5)))
  })
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
  })
}

const HEADERS = { ":status": 200, "content-type": "application/grpc" }

const answer = (
  calls: FlightCalls,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  message: Uint8Array
): void => {
  if (stream.destroyed) return
  const method = headers[":path"]
  const handler = method === `${SERVICE}/GetFlightInfo` ? info : method === `${SERVICE}/DoGet` ? data : undefined
  if (handler === undefined) return refuse(stream, UNIMPLEMENTED, String(method))
  try {
    handler(calls, stream, headers, message)
  } catch (error) {
    refuse(stream, INTERNAL, String(error))
  }
}

const refuse = (stream: ServerHttp2Stream, status: number, message: string): void => {
  const trailers = { "grpc-status": String(status), "grpc-message": encodeURIComponent(message) }
  stream.respond({ ...HEADERS, ...trailers }, { endStream: true })
}

const respond = (stream: ServerHttp2Stream): void => {
  stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
  stream.respond(HEADERS, { waitForTrailers: true })
}

const info = (
  calls: FlightCalls,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  message: Uint8Array
): void => {
  const descriptor = Result.getOrThrow(decodeFlightDescriptor(message))
  const { schema, ticket } = calls.flightInfo(Result.getOrThrow(decodeStatementQuery(descriptor.cmd)), headers)
  const flightInfo = encodeFlightInfo({
    schema,
    descriptor,
    endpoints: [{ ticket, locations: [] }],
    totalRecords: -1n,
    totalBytes: -1n,
    ordered: false
  })
  respond(stream)
  stream.end(grpcFrame(flightInfo))
}

const data = (calls: FlightCalls, stream: ServerHttp2Stream, _: IncomingHttpHeaders, message: Uint8Array): void => {
  const ticket = Result.getOrThrow(decodeTicket(message))
  respond(stream)
  calls.doGet(ticket, stream)
}
