/** Arrow Flight SQL calls over grpc-js. */
import * as grpc from "@grpc/grpc-js"
import { Deferred, Duration, Effect, Layer, Redacted, Stream } from "effect"
import type { FlightData } from "../domain/flight/FlightData.ts"
import {
  decodeFlightData,
  decodeFlightInfo,
  DESCRIPTOR_CMD,
  encodeFlightDescriptor,
  encodeStatementQuery,
  encodeTicket
} from "../domain/flight/messages.ts"
import { makeWaitReporter } from "../domain/reportWait.ts"
import { withoutSecret } from "../domain/withoutSecret.ts"
import { SyncConfig } from "../services/Config.ts"
import type { StreamRequest } from "../services/FlightClient.ts"
import { FlightClient, FlightError } from "../services/FlightClient.ts"
import { connect, type Connection, isReady } from "./flight-client/connection.ts"
import { type FailedCall, failureOf, isReset } from "./flight-client/failure.ts"
import { isPingedTooOften, makePingPace } from "./flight-client/pingPace.ts"
import { contentTypeOf, serverStream } from "./flight-client/serverStream.ts"

const SERVICE = "/arrow.flight.protocol.FlightService"
/** A connection that is accepted by a server that sends nothing never becomes ready. */
const CONNECT_TIMEOUT = Duration.seconds(10)
/** GetFlightInfo only plans; a DoGet has no deadline, because a stream at the tip waits for the next block. */
const INFO_TIMEOUT = Duration.seconds(60)

type Token = Redacted.Redacted<string> | undefined

/** `FlightClient` over grpc-js: one HTTP/2 connection per query, so that a lost connection affects one query. */
const make = Effect.gen(function*() {
  const config = yield* SyncConfig
  const pace = makePingPace(config.pingInterval)
  const reportWait = makeWaitReporter("ampsync::flight_client")
  const reportQuiet = makeWaitReporter("ampsync::flight_client")

  /** What was sent last: a server may repeat it in the reason of a failure. */
  let sentToken: string | undefined

  const failed = (call: Omit<FailedCall, "credential">, reported: grpc.ServiceError): FlightError => {
    const { connection, operation } = call
    const error = Object.assign(reported, { details: withoutSecret(reported.details ?? "", sentToken) })
    return isPingedTooOften(connection, error)
      ? pingedTooOften(operation, connection, pace.slowDown(connection.pingInterval))
      : failureOf({ ...call, credential: config.authToken }, error)
  }

  /** Reads the token for each call: a connection may outlive a token. */
  const token = (operation: FlightError["operation"]): Effect.Effect<Token, FlightError> =>
    config.authToken === undefined ? Effect.succeed(undefined) : Effect.mapError(
      config.authToken.read,
      ({ message }) => new FlightError({ operation, status: "UNAUTHENTICATED", detail: message, retryable: true })
    )

  const metadata = (token: Token, headers: Record<string, string>): grpc.Metadata => {
    const result = new grpc.Metadata()
    // A gateway checks both calls: it refuses a DoGet without a token.
    if (token !== undefined) {
      sentToken = Redacted.value(token)
      result.set("authorization", `Bearer ${sentToken}`)
    }
    for (const [name, value] of Object.entries(headers)) result.set(name, value)
    return result
  }

  const connection = Effect.acquireRelease(
    Effect.sync(() =>
      connect({
        address: config.flightAddr,
        maxMessageBytes: config.grpcMaxDecodeBytes,
        pingInterval: pace.interval()
      })
    ),
    ({ client }) => Effect.sync(() => client.close())
  )

  const info = (connection: Connection, sql: string, headers: Record<string, string>) =>
    Effect.flatMap(token("GetFlightInfo"), (token) => getInfo(connection, sql, metadata(token, headers))).pipe(
      Effect.raceFirst(notReady(connection)),
      (planning) =>
        reportWait(() =>
          isReady(connection)
            ? { for: `the plan of a query from Arrow Flight ${connection.place}`, limit: INFO_TIMEOUT }
            : { for: `a connection to Arrow Flight ${connection.place}`, limit: CONNECT_TIMEOUT }, planning),
      Effect.timeoutOrElse({ duration: INFO_TIMEOUT, orElse: () => Effect.fail(unplanned(connection)) }),
      Effect.flatMap((reply) => Effect.fromResult(decodeFlightInfo(reply))),
      Effect.mapError((error) => error._tag === "FlightError" ? error : malformed("GetFlightInfo", error.message))
    )

  const getInfo = (connection: Connection, sql: string, metadata: grpc.Metadata) =>
    Effect.callback<Buffer, FlightError>((resume) => {
      const call = connection.client.makeUnaryRequest(
        `${SERVICE}/GetFlightInfo`,
        identity,
        identity,
        Buffer.from(encodeFlightDescriptor({ type: DESCRIPTOR_CMD, cmd: encodeStatementQuery(sql) })),
        metadata,
        {},
        (error, reply) => {
          const failure = () => failed({ operation: "GetFlightInfo", connection, contentType: contentType() }, error!)
          resume(error === null ? Effect.succeed(reply!) : Effect.fail(failure()))
        }
      )
      const contentType = contentTypeOf(call)
      return Effect.sync(() => call.cancel())
    })

  const doGet = (connection: Connection, ticket: Uint8Array, isEndless: boolean) =>
    Stream.unwrap(
      Effect.flatMap(token("DoGet"), (token) =>
        serverStream(
          () =>
            connection.client.makeServerStreamRequest(
              `${SERVICE}/DoGet`,
              identity,
              identity,
              Buffer.from(encodeTicket(ticket)),
              metadata(token, {}),
              {}
            ),
          messageOf,
          (error, contentType) => {
            // A batch query that ends so may be incomplete and must fail; a stream resumes where it ended.
            if (isEndless && isReset({ contentType }, error)) return undefined
            return failed({ operation: "DoGet", connection, contentType }, error)
          }
        ))
    )

  /** A stream at the tip may have no message for long, which is not known here; a batch query must have one. */
  const reportFirst = (
    connection: Connection,
    isEndless: boolean,
    messages: Stream.Stream<FlightData, FlightError>
  ): Stream.Stream<FlightData, FlightError> =>
    Stream.unwrap(Effect.gen(function*() {
      const first = yield* Deferred.make<void>()
      const answered = Deferred.await(first)
      yield* Effect.forkScoped(
        isEndless
          ? reportQuiet(() => ({
            for: `the first message of a stream from Arrow Flight ${connection.place}, which comes with the next block`,
            isNormal: true
          }), answered)
          : reportWait(() => ({ for: `the rows of a query from Arrow Flight ${connection.place}` }), answered)
      )
      return Stream.onFirst(messages, () => Deferred.succeed(first, undefined))
    }))

  const open = Effect.fnUntraced(function*(sql: string, headers: Record<string, string>, isEndless: boolean) {
    const opened = yield* connection
    const { endpoints, schema } = yield* info(opened, sql, headers)
    const [endpoint] = endpoints
    if (endpoint === undefined || endpoints.length !== 1) {
      return yield* malformed("GetFlightInfo", `the server offered ${endpoints.length} endpoints instead of one`)
    }
    return { schema, messages: reportFirst(opened, isEndless, doGet(opened, endpoint.ticket, isEndless)) }
  })

  return FlightClient.of({
    schema: Effect.fn("FlightClient.schema")((sql: string) =>
      Effect.scoped(Effect.flatMap(connection, (opened) => Effect.map(info(opened, sql, {}), (reply) => reply.schema)))
    ),
    open: Effect.fn("FlightClient.open")((request: StreamRequest) => open(request.sql, streamHeaders(request), true)),
    query: (sql) => Stream.unwrap(Effect.map(open(sql, {}, false), ({ messages }) => messages))
  })
})

/** Fails when the connection is not ready in time, and never ends otherwise. */
const notReady = (connection: Connection): Effect.Effect<never, FlightError> =>
  Effect.andThen(
    Effect.sleep(CONNECT_TIMEOUT),
    Effect.suspend(() => isReady(connection) ? Effect.never : Effect.fail(unconnected(connection)))
  )

const unconnected = ({ place }: Connection): FlightError =>
  new FlightError({
    operation: "GetFlightInfo",
    status: "UNAVAILABLE",
    detail: `no connection within ${Duration.toSeconds(CONNECT_TIMEOUT)} s ${place}`,
    retryable: true
  })

const unplanned = ({ place }: Connection): FlightError =>
  new FlightError({
    operation: "GetFlightInfo",
    status: "DEADLINE_EXCEEDED",
    detail: `no answer within ${Duration.toSeconds(INFO_TIMEOUT)} s ${place}`,
    retryable: true
  })

export const layer: Layer.Layer<FlightClient, never, SyncConfig> = Layer.effect(FlightClient, make)

const identity = (bytes: Buffer): Buffer => bytes

/** Both names of the resume header: each server generation ignores the other's. */
const streamHeaders = ({ cursor }: StreamRequest): Record<string, string> => {
  if (cursor === undefined) return { "amp-stream": "true" }
  // The block number is written as digits: JSON.stringify rejects a bigint, and a number would round past 2^53.
  const network = JSON.stringify(cursor.network)
  const position = `{${network}:{"number":${cursor.number},"hash":${JSON.stringify(cursor.hash)}}}`
  return { "amp-stream": "true", "amp-resume": position, "nozzle-resume": position }
}

const pingedTooOften = (
  operation: FlightError["operation"],
  { pingInterval, place }: Connection & { readonly pingInterval: Duration.Duration },
  slower: Duration.Duration
): FlightError =>
  new FlightError({
    operation,
    status: "RESOURCE_EXHAUSTED",
    detail:
      `the peer closed the connection because a ping every ${Duration.toSeconds(pingInterval)} s is too often for it ` +
      `(too_many_pings) ${place}; from now on connections are pinged every ${Duration.toSeconds(slower)} s; ` +
      "raise GRPC_PING_INTERVAL_SECS",
    retryable: true
  })

const messageOf = (bytes: Buffer): Effect.Effect<FlightData, FlightError> =>
  Effect.mapError(Effect.fromResult(decodeFlightData(bytes)), ({ message }) => malformed("DoGet", message))

const malformed = (operation: FlightError["operation"], detail: string): FlightError =>
  new FlightError({ operation, status: "DATA_LOSS", detail, retryable: true })
