import * as grpc from "@grpc/grpc-js"
import { Cause, Effect, Layer, Redacted, Result, Stream } from "effect"
import type { Scope } from "effect"
import { isIP } from "node:net"
import type { ConnectionOptions } from "node:tls"
import type { FlightData } from "../domain/flight/FlightData.ts"
import {
  decodeFlightData,
  decodeFlightInfo,
  DESCRIPTOR_CMD,
  encodeFlightDescriptor,
  encodeStatementQuery,
  encodeTicket
} from "../domain/flight/messages.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import type { StreamRequest } from "../services/FlightClient.ts"
import { FlightClient, FlightError } from "../services/FlightClient.ts"

const SERVICE = "/arrow.flight.protocol.FlightService"
/** GetFlightInfo only plans; a DoGet has no deadline, because a stream at the tip is silent for as long as the chain is. */
const INFO_TIMEOUT_MILLIS = 60_000
const MAX_DETAIL_CHARS = 1_000

/** Statuses that the same call will meet again until somebody changes something. INTERNAL is not among them. */
const PERMANENT: ReadonlySet<grpc.status> = new Set([
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.UNIMPLEMENTED,
  grpc.status.UNAUTHENTICATED,
  grpc.status.PERMISSION_DENIED
])

/** `FlightClient` over grpc-js: one HTTP/2 connection, one stream per query. */
const make = Effect.gen(function*() {
  const config = yield* AmpsyncConfig
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => connect(config.flightAddr, config.grpcMaxDecodeBytes)),
    (client) => Effect.sync(() => client.close())
  )

  const failed = (operation: FlightError["operation"], error: grpc.ServiceError) =>
    failure(operation, error, config.flightAddr)

  const metadata = (headers: Record<string, string>): grpc.Metadata => {
    const result = new grpc.Metadata()
    // A gateway wants the credential on both calls: a token missing on DoGet is refused there.
    if (config.authToken !== undefined) result.set("authorization", `Bearer ${Redacted.value(config.authToken)}`)
    for (const [name, value] of Object.entries(headers)) result.set(name, value)
    return result
  }

  const info = (sql: string, headers: Record<string, string>) =>
    Effect.callback<Buffer, FlightError>((resume) => {
      const call = client.makeUnaryRequest(
        `${SERVICE}/GetFlightInfo`,
        identity,
        identity,
        Buffer.from(encodeFlightDescriptor({ type: DESCRIPTOR_CMD, cmd: encodeStatementQuery(sql) })),
        metadata(headers),
        { deadline: Date.now() + INFO_TIMEOUT_MILLIS },
        (error, reply) => resume(error === null ? Effect.succeed(reply!) : Effect.fail(failed("GetFlightInfo", error)))
      )
      return Effect.sync(() => call.cancel())
    }).pipe(
      Effect.flatMap((reply) => Effect.fromResult(decodeFlightInfo(reply))),
      Effect.mapError((error) => error._tag === "FlightError" ? error : malformed("GetFlightInfo", error.message))
    )

  const ticketOf = Effect.fnUntraced(function*(sql: string, headers: Record<string, string>) {
    const { endpoints } = yield* info(sql, headers)
    const [endpoint] = endpoints
    if (endpoint === undefined || endpoints.length !== 1) {
      return yield* malformed("GetFlightInfo", `the server offered ${endpoints.length} endpoints instead of one`)
    }
    return endpoint.ticket
  })

  const doGet = (ticket: Uint8Array) =>
    serverStream(() =>
      client.makeServerStreamRequest(
        `${SERVICE}/DoGet`,
        identity,
        identity,
        Buffer.from(encodeTicket(ticket)),
        metadata({}),
        {}
      ), (error) => failed("DoGet", error))

  return FlightClient.of({
    schema: Effect.fn("FlightClient.schema")((sql: string) => Effect.map(info(sql, {}), (reply) => reply.schema)),
    open: Effect.fn("FlightClient.open")(function*(request: StreamRequest) {
      return yield* doGet(yield* ticketOf(request.sql, streamHeaders(request)))
    }),
    query: (sql) => Stream.unwrap(Effect.flatMap(ticketOf(sql, {}), doGet))
  })
})

export const layer: Layer.Layer<FlightClient, never, AmpsyncConfig> = Layer.effect(FlightClient, make)

const identity = (bytes: Buffer): Buffer => bytes

const connect = (address: URL, maxMessageBytes: number): grpc.Client => {
  const secure = address.protocol === "https:"
  const port = address.port || (secure ? "443" : "80")
  return new grpc.Client(
    `${address.hostname}:${port}`,
    secure ? credentialsFor(address) : grpc.credentials.createInsecure(),
    {
      "grpc.max_receive_message_length": maxMessageBytes,
      // The default window of 64 KiB caps a stream at 64 KiB per round trip; larger ones than 1 MiB gain nothing on loopback.
      "grpc-node.flow_control_window": 1024 * 1024,
      // Between blocks the server says nothing: only pings tell silence from a peer that is gone.
      "grpc.keepalive_time_ms": 20_000,
      "grpc.keepalive_timeout_ms": 10_000,
      "grpc.keepalive_permit_without_calls": 1,
      // Our own schedule decides when to come back, so the channel must not wait longer than it.
      "grpc.initial_reconnect_backoff_ms": 250,
      "grpc.max_reconnect_backoff_ms": 5_000,
      // One subchannel per client: two clients of one process never share, and close, each other's connection.
      "grpc.use_local_subchannel_pool": 1
    }
  )
}

/**
 * TLS as grpc-js does it, but for the name it would send with an IP address: none is allowed there (RFC 6066, section 3), and
 * Node warns of it. The certificate is checked against the address all the same.
 */
const credentialsFor = ({ hostname }: URL): grpc.ChannelCredentials => {
  const credentials = grpc.credentials.createSsl()
  if (isIP(hostname.replace(/^\[(.*)\]$/, "$1")) === 0) return credentials
  const connectorOf = credentials._createSecureConnector.bind(credentials)
  credentials._createSecureConnector = (...channel) => {
    const connector = connectorOf(...channel) as ReturnType<typeof connectorOf> & {
      connectionOptions?: ConnectionOptions
    }
    if (connector.connectionOptions !== undefined) connector.connectionOptions.servername = ""
    return connector
  }
  return credentials
}

/** Both names of either header: each server generation ignores the one it does not know. */
const streamHeaders = ({ cursor }: StreamRequest): Record<string, string> => {
  if (cursor === undefined) return { "amp-stream": "true" }
  // The number is written as digits: JSON.stringify knows no bigint, and a number would round past 2^53.
  const network = JSON.stringify(cursor.network)
  const position = `{${network}:{"number":${cursor.number},"hash":${JSON.stringify(cursor.hash)}}}`
  return { "amp-stream": "true", "amp-resume": position, "nozzle-resume": position }
}

/**
 * A server-streaming call as a stream that pulls: one message per pull, so that a slow consumer slows the server.
 *
 * The call is cancelled by closing the scope; grpc-js does not do so by itself when its stream is dropped.
 */
const serverStream = (
  open: () => grpc.ClientReadableStream<Buffer>,
  failed: (error: grpc.ServiceError) => FlightError
): Effect.Effect<Stream.Stream<FlightData, FlightError>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const call = open() // grpc-js reads 16 messages ahead and has no option for it; of 2 MiB or more each, one is enough to be busy.
        ;(call as unknown as { _readableState: { highWaterMark: number } })._readableState.highWaterMark = 1
        const state: CallState = { call, ended: false, error: undefined, wake: undefined }
        call.on("readable", () => state.wake?.())
        // Only the status says how a stream ended: its "end" comes with a failure as well.
        call.on("status", ({ code }: grpc.StatusObject) => {
          state.ended = code === grpc.status.OK
          state.wake?.()
        })
        call.on("error", (error: grpc.ServiceError) => {
          state.error = failed(error)
          state.wake?.()
        })
        return state
      }),
      ({ call }) => Effect.sync(() => call.cancel())
    ),
    (state) => Stream.fromPull(Effect.succeed(pull(state)))
  )

interface CallState {
  readonly call: grpc.ClientReadableStream<Buffer>
  ended: boolean
  error: FlightError | undefined
  wake: (() => void) | undefined
}

const pull = (state: CallState): Effect.Effect<[FlightData], FlightError | Cause.Done> =>
  Effect.callback((resume) => {
    const attempt = (): void => {
      const bytes = state.call.read() as Buffer | null
      if (bytes !== null) return finish(messageOf(bytes))
      if (state.error !== undefined) return finish(Effect.fail(state.error))
      if (state.ended) return finish(Cause.done())
    }
    const finish = (effect: Effect.Effect<[FlightData], FlightError | Cause.Done>): void => {
      state.wake = undefined
      resume(effect)
    }
    state.wake = attempt
    attempt()
    return Effect.sync(() => {
      state.wake = undefined
    })
  })

const messageOf = (bytes: Buffer): Effect.Effect<[FlightData], FlightError> =>
  Result.match(decodeFlightData(bytes), {
    onFailure: (error) => Effect.fail(malformed("DoGet", error.message)),
    onSuccess: (message) => Effect.succeed([message])
  })

const failure = (operation: FlightError["operation"], error: grpc.ServiceError, address: URL): FlightError => {
  // What a proxy answers while a server is replaced, in the clothes of a status that a server would mean for good.
  const byProxy = error.details.startsWith("Received HTTP status code")
  const tooLarge = error.code === grpc.status.RESOURCE_EXHAUSTED && /larger than max/i.test(error.details)
  // What comes from no server, or perhaps from another one, is told with where it was looked for.
  const elsewhere = byProxy || error.code === grpc.status.UNAVAILABLE || error.code === grpc.status.DEADLINE_EXCEEDED
  const words = (error.details || error.message).replace(/\.? Resolution note: $/, "").slice(0, MAX_DETAIL_CHARS)
  return new FlightError({
    operation,
    status: grpc.status[error.code] ?? String(error.code),
    detail: tooLarge
      ? `${words}; raise GRPC_MAX_DECODE_MB`
      : elsewhere
      ? `${words} (at ${address.origin}, which AMP_FLIGHT_ADDR names)`
      : words,
    retryable: !tooLarge && (byProxy || !PERMANENT.has(error.code))
  })
}

const malformed = (operation: FlightError["operation"], detail: string): FlightError =>
  new FlightError({ operation, status: "DATA_LOSS", detail, retryable: true })
