/** A Flight server on plain HTTP/2, for responses that no gRPC server can produce. */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import type { AddressInfo } from "node:net"
import { encodeFlightData, encodeFlightInfo } from "../../../src/domain/flight/messages.ts"

export type Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

export interface Answers {
  readonly GetFlightInfo?: Answer
  readonly DoGet?: Answer
}

/** Listens until the scope closes and returns its URL. By default it responds with a plan, and with a stream that goes on. */
export const serveHttp2 = (answers: Answers): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const sessions = new Set<{ readonly destroy: () => void }>()
      // Node sends at most 64 KiB of headers by default.
      const server = createServer({ maxSendHeaderBlockLength: 1024 * 1024 })
      server.on("session", (session) => {
        sessions.add(session)
        session.on("error", () => undefined).on("close", () => sessions.delete(session))
      })
      server.on("stream", (stream, headers) => {
        stream.on("error", () => undefined)
        const answer = String(headers[":path"]).endsWith("/DoGet")
          ? answers.DoGet ?? goOn
          : answers.GetFlightInfo ?? plan
        answer(stream, headers)
      })
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
          close: () => {
            server.close()
            for (const session of sessions) session.destroy()
          }
        })))
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ url }) => url))

/** A gRPC message: a flag for compression, its length, its bytes. */
export const framed = (bytes: Uint8Array, compressed = false): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt8(compressed ? 1 : 0, 0)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** A message of a stream, identified by its metadata. */
export const message = (text: string): Uint8Array =>
  encodeFlightData({ dataHeader: new Uint8Array(0), dataBody: new Uint8Array(0), appMetadata: Buffer.from(text) })

export const begin = (stream: ServerHttp2Stream, headers: OutgoingHttpHeaders = {}): void =>
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...headers }, { waitForTrailers: true })

/** Ends a call with a status, after `frames`. */
export const end = (trailers: OutgoingHttpHeaders, ...frames: ReadonlyArray<Buffer>): Answer => (stream) => {
  begin(stream)
  stream.on("wantTrailers", () => stream.sendTrailers(trailers))
  for (const frame of frames) stream.write(frame)
  stream.end()
}

const plan: Answer = end(
  { "grpc-status": "0" },
  framed(encodeFlightInfo({
    schema: new Uint8Array(0),
    descriptor: { type: 2, cmd: new Uint8Array(0) },
    endpoints: [{ ticket: new Uint8Array(0), locations: [] }],
    totalRecords: -1n,
    totalBytes: -1n,
    ordered: false
  }))
)

const goOn: Answer = (stream) => {
  begin(stream)
  stream.write(framed(message("first")))
}
