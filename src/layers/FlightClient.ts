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
/** A connection that is accepted and then silent never becomes ready. */
const CONNECT_TIMEOUT_MILLIS = 10_000
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

type Token = Redacted.Redacted<string> | undefined

/** `FlightClient` over grpc-js: one HTTP/2 connection per query, so that no query shares the fate of another. */
const make = Effect.gen(function*() {
  const config = yield* AmpsyncConfig

  const failed = (operation: FlightError["operation"], error: grpc.ServiceError) =>
    failure(operation, error, config.flightAddr)

  /** The token as it is now: one connection may live longer than a token. */
  const token = (operation: FlightError["operation"]): Effect.Effect<Token, FlightError> =>
    config.authToken === undefined ? Effect.succeed(undefined) : Effect.mapError(
      config.authToken.read,
      ({ message }) => new FlightError({ operation, status: "UNAUTHENTICATED", detail: message, retryable: true })
    )

  const metadata = (token: Token, headers: Record<string, string>): grpc.Metadata => {
    const result = new grpc.Metadata()
    // A gateway wants the credential on both calls: a token missing on DoGet is refused there.
    if (token !== undefined) result.set("authorization", `Bearer ${Redacted.value(token)}`)
    for (const [name, value] of Object.entries(headers)) result.set(name, value)
    return result
  }

  const connection = Effect.acquireRelease(
    Effect.sync(() => connect(config.flightAddr, config.grpcMaxDecodeBytes)),
    (client) => Effect.sync(() => client.close())
  )

  const info = (client: grpc.Client, sql: string, headers: Record<string, string>) =>
    Effect.flatMap(token("GetFlightInfo"), (token) => getInfo(client, sql, metadata(token, headers)))

  const getInfo = (client: grpc.Client, sql: string, metadata: grpc.Metadata) =>
    Effect.callback<Buffer, FlightError>((resume) => {
      const call = client.makeUnaryRequest(
        `${SERVICE}/GetFlightInfo`,
        identity,
        identity,
        Buffer.from(encodeFlightDescriptor({ type: DESCRIPTOR_CMD, cmd: encodeStatementQuery(sql) })),
        metadata,
        { deadline: Date.now() + INFO_TIMEOUT_MILLIS },
        (error, reply) => {
          clearTimeout(connecting)
          resume(error === null ? Effect.succeed(reply!) : Effect.fail(failed("GetFlightInfo", error)))
        }
      )
      const connecting = setTimeout(() => {
        if (client.getChannel().getConnectivityState(false) === grpc.connectivityState.READY) return
        resume(Effect.fail(unconnected(config.flightAddr)))
        call.cancel()
      }, CONNECT_TIMEOUT_MILLIS)
      return Effect.sync(() => {
        clearTimeout(connecting)
        call.cancel()
      })
    }).pipe(
      Effect.flatMap((reply) => Effect.fromResult(decodeFlightInfo(reply))),
      Effect.mapError((error) => error._tag === "FlightError" ? error : malformed("GetFlightInfo", error.message))
    )

  const doGet = (client: grpc.Client, ticket: Uint8Array) =>
    Stream.unwrap(Effect.flatMap(token("DoGet"), (token) =>
      serverStream(() =>
        client.makeServerStreamRequest(
          `${SERVICE}/DoGet`,
          identity,
          identity,
          Buffer.from(encodeTicket(ticket)),
          metadata(token, {}),
          {}
        ), (error) => failed("DoGet", error))))

  const open = Effect.fnUntraced(function*(sql: string, headers: Record<string, string>) {
    const client = yield* connection
    const { endpoints, schema } = yield* info(client, sql, headers)
    const [endpoint] = endpoints
    if (endpoint === undefined || endpoints.length !== 1) {
      return yield* malformed("GetFlightInfo", `the server offered ${endpoints.length} endpoints instead of one`)
    }
    return { schema, messages: doGet(client, endpoint.ticket) }
  })

  return FlightClient.of({
    schema: Effect.fn("FlightClient.schema")((sql: string) =>
      Effect.scoped(Effect.flatMap(connection, (client) => Effect.map(info(client, sql, {}), (reply) => reply.schema)))
    ),
    open: Effect.fn("FlightClient.open")((request: StreamRequest) => open(request.sql, streamHeaders(request))),
    query: (sql) => Stream.unwrap(Effect.map(open(sql, {}), ({ messages }) => messages))
  })
})

const unconnected = (address: URL): FlightError =>
  new FlightError({
    operation: "GetFlightInfo",
    status: "UNAVAILABLE",
    detail: `no connection within ${
      CONNECT_TIMEOUT_MILLIS / 1000
    } s (at ${address.origin}, which AMP_FLIGHT_ADDR names)`,
    retryable: true
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
      // Between blocks the server sends nothing: only pings tell silence from a peer that is gone. Gateways close connections
      // that ping more often than once a minute.
      "grpc.keepalive_time_ms": 60_000,
      "grpc.keepalive_timeout_ms": 10_000,
      // Our own schedule decides when to come back, so the channel must not wait longer than it.
      "grpc.initial_reconnect_backoff_ms": 250,
      "grpc.max_reconnect_backoff_ms": 5_000,
      // Without it grpc-js would give all clients of the process one connection.
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
  // grpc-js leaves the details out where it cannot read a message, as of an encoding that it lacks.
  const details = error.details ?? ""
  // What a proxy answers while a server is replaced, in the clothes of a status that a server would mean for good.
  const byProxy = details.startsWith("Received HTTP status code")
  const tooLarge = error.code === grpc.status.RESOURCE_EXHAUSTED && /larger than max/i.test(details)
  // What comes from no server, or perhaps from another one, is told with where it was looked for.
  const elsewhere = byProxy || error.code === grpc.status.UNAVAILABLE || error.code === grpc.status.DEADLINE_EXCEEDED
  const words = (details || error.message).replace(/\.? Resolution note: $/, "").slice(0, MAX_DETAIL_CHARS)
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
