/** A Flight SQL server of either dialect over the simulated chain. */
import { type Metadata, Server, ServerCredentials, type ServerWritableStream, status } from "@grpc/grpc-js"
import { Effect, Result, type Scope } from "effect"
import type { Http2Server } from "node:http2"
import { createServer } from "node:net"
import type { FlightData } from "../domain/flight/FlightData.ts"
import { decodeFlightDescriptor, decodeTicket, DESCRIPTOR_CMD, encodeFlightData } from "../domain/flight/messages.ts"
import { encodeFlightInfo, type FlightDescriptor } from "../domain/flight/messages.ts"
import { decodeAny, decodeStatementQuery, STATEMENT_QUERY_TYPE_URL } from "../domain/flight/statementQuery.ts"
import { encapsulate, encodeSchema } from "./arrowIpc.ts"
import type { Dataset } from "./datasets.ts"
import type { CallName, StreamHandle } from "./faults.ts"
import { flightService, flightServiceDefinition } from "./flightService.ts"
import { type Address, listen } from "./listen.ts"
import { FlightFailure, notSynced, type Plan, planQuery } from "./plan.ts"
import { batchQuery, streamingQuery, type StreamSettings } from "./queryStream.ts"
import type { StreamPosition } from "./resume.ts"
import type { SimulatorError } from "./SimulatorError.ts"
import { decodeTicketContent, encodeTicketContent, parseResumeHeader } from "./ticket.ts"
import { parseStreamHeader, resumeHeaderOf, type TicketContent } from "./ticket.ts"

export interface FlightServerOptions extends StreamSettings, Address {
  readonly datasets: ReadonlyArray<Dataset>
  /** Most streams at a time on a connection; unlimited where absent. */
  readonly maxStreams: number | undefined
}

/** Serves until the scope closes; returns the port. Closing cuts everything that is open. */
export const serveFlight = (options: FlightServerOptions): Effect.Effect<number, SimulatorError, Scope.Scope> =>
  Effect.gen(function*() {
    const grpc = yield* Effect.acquireRelease(
      Effect.sync(() => new Server(serverOptions(options))),
      (server) => Effect.sync(() => server.forceShutdown())
    )
    const service = new FlightCalls(options)
    grpc.addService(
      flightServiceDefinition,
      flightService({
        GetFlightInfo: (call, callback) =>
          void service.getFlightInfo(call.request, call.metadata).then(
            (info) => callback(null, info),
            (failure: unknown) => callback(statusOf(failure))
          ),
        DoGet: (call) => void service.doGet(call),
        onHandshake: (peer) => options.faults.cutPeer(peer)
      })
    )
    // Sockets are accepted here and not by grpc-js, so that faults can hold them back and cut them.
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure())
    // grpc-js has no other access to the HTTP/2 server.
    const { http2Servers } = grpc as unknown as { readonly http2Servers: ReadonlyMap<Http2Server, unknown> }
    for (const server of http2Servers.keys()) options.faults.watch(server)
    const listener = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy())
      options.faults.connected(peerOf(socket), socket, (_) => injector.injectConnection(_))
    })
    return yield* listen("Flight", listener, options, () => {
      injector.destroy()
      options.faults.cutAll()
    })
  })

const serverOptions = ({ maxStreams }: FlightServerOptions) => ({
  "grpc.max_send_message_length": -1,
  "grpc.max_receive_message_length": -1,
  ...(maxStreams === undefined ? {} : { "grpc.max_concurrent_streams": maxStreams })
})

const peerOf = (socket: { readonly remoteAddress?: string | undefined; readonly remotePort?: number | undefined }) =>
  `${socket.remoteAddress}:${socket.remotePort}`

const statusOf = (failure: unknown): { code: status; details: string } =>
  failure instanceof FlightFailure
    ? { code: failure.code, details: failure.details }
    : { code: status.INTERNAL, details: String(failure) }

const invalid = (details: string) => new FlightFailure({ code: status.INVALID_ARGUMENT, details })

class FlightCalls {
  private readonly options: FlightServerOptions

  constructor(options: FlightServerOptions) {
    this.options = options
  }

  async getFlightInfo(request: Uint8Array, metadata: Metadata): Promise<Uint8Array> {
    const descriptor = decodeFlightDescriptor(request)
    const sql = Result.flatMap(Result.mapError(descriptor, protobufFailure), queryOf)
    await this.admit("GetFlightInfo", Result.getOrElse(sql, () => ""), metadata)
    const query = Result.getOrThrow(sql)
    const plan = Result.getOrThrow(this.plan(query))
    const ticket = encodeTicketContent(this.ticketFor(query, plan, metadata))
    return encodeFlightInfo({
      schema: encapsulate(encodeSchema(plan.fields)),
      descriptor: Result.getOrThrow(descriptor),
      endpoints: [{ ticket, locations: [] }],
      totalRecords: -1n,
      totalBytes: -1n,
      ordered: false
    })
  }

  async doGet(call: ServerWritableStream<Uint8Array, Uint8Array>): Promise<void> {
    const aborted = new AbortController()
    call.on("cancelled", () => aborted.abort())
    let ending: FlightFailure | undefined
    const ticket = decodeTicket(call.request)
    const content = Result.isSuccess(ticket) ? decodeTicketContent(ticket.success) : undefined
    const stream: StreamHandle = {
      peer: call.getPeer(),
      sql: content?.sql ?? "",
      isStreaming: content?.streaming ?? false,
      end: (failure) => {
        ending = failure
        aborted.abort()
      }
    }
    const closed = this.options.faults.opened(stream)
    try {
      await this.send(call, await this.messages(content, call.metadata, aborted.signal), stream, aborted.signal)
      if (ending !== undefined) throw ending
      call.end()
    } catch (failure) {
      call.emit("error", statusOf(failure))
    } finally {
      closed()
    }
  }

  private async messages(
    content: TicketContent | undefined,
    metadata: Metadata,
    signal: AbortSignal
  ): Promise<AsyncIterable<FlightData> | Iterable<FlightData>> {
    await this.admit("DoGet", content?.sql ?? "", metadata)
    if (content === undefined) throw invalid("ticket decoding error | Caused by: invalid ticket")
    const plan = Result.getOrThrow(this.plan(content.sql))
    if (this.options.faults.notSynced) throw notSynced(this.options.chain.dialect, plan)
    if (!content.streaming) return batchQuery(this.options, plan)
    const { dialect } = this.options.chain
    if (plan.nonIncremental !== undefined) throw nonIncremental(dialect, plan.nonIncremental)
    return streamingQuery(this.options, plan, this.cursorOf(content, plan), signal)
  }

  /** One message at a time: the next one is made when HTTP/2 has accepted the last one, so a slow reader slows the stream down. */
  private async send(
    call: ServerWritableStream<Uint8Array, Uint8Array>,
    messages: AsyncIterable<FlightData> | Iterable<FlightData>,
    stream: StreamHandle,
    signal: AbortSignal
  ): Promise<void> {
    const { faults } = this.options
    for await (const message of messages) {
      if (faults.holds(stream)) await unlessAborted(signal, (done) => void faults.whenServing(stream).then(done))
      if (signal.aborted) return
      await unlessAborted(signal, (done) => call.write(encodeFlightData(message), done))
      faults.sent(stream)
      if (signal.aborted) return
    }
  }

  /** Accepts a call, or fails it: with a planned failure, or because the token is missing or wrong. */
  private async admit(call: CallName, sql: string, metadata: Metadata): Promise<void> {
    const headers = Object.fromEntries(Object.entries(metadata.getMap()).map(([key, value]) => [key, String(value)]))
    const failure = await this.options.faults.arrived({ call, sql, headers })
    if (failure !== undefined) throw failure
    if (!this.options.faults.admits(headers["authorization"])) {
      throw new FlightFailure({ code: status.UNAUTHENTICATED, details: "missing or invalid bearer token" })
    }
  }

  private plan(sql: string): Result.Result<Plan, FlightFailure> {
    return planQuery(this.options.chain.dialect, this.options.datasets, sql)
  }

  private ticketFor(sql: string, plan: Plan, metadata: Metadata): TicketContent {
    const { chain, faults } = this.options
    const header = (name: string) => {
      const value = metadata.get(name)[0]
      return value === undefined ? undefined : String(value)
    }
    const requested = chain.dialect === "amp" ? parseStreamHeader(header("amp-stream")) : undefined
    const resume = faults.ignoreResume ? undefined : header(resumeHeaderOf(chain.dialect))
    return {
      sql,
      streaming: requested ?? plan.streaming,
      cursor: resume === undefined ? undefined : parseResumeHeader(resume)
    }
  }

  /** A cursor that does not name the query's network is an error, and not "from the start". */
  private cursorOf(content: TicketContent, plan: Plan): StreamPosition | undefined {
    if (content.cursor === undefined) return undefined
    const { network } = plan.dataset
    const position = content.cursor[network]
    if (position !== undefined) return position
    const known = Object.keys(content.cursor).join(", ")
    const details = this.options.chain.dialect === "nozzle"
      ? `streaming query execution error: Expected resume watermark for network '${network}'`
      : `streaming query execution error | Caused by: failed to convert cursor -> expected cursor for network '${network}', but cursor only contains networks: [${known}]`
    throw new FlightFailure({ code: status.INTERNAL, details })
  }
}

/** Settles when `begin` calls back, or as soon as `signal` is aborted: a write to a dead connection never calls back. */
const unlessAborted = (signal: AbortSignal, begin: (done: () => void) => void): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener("abort", done)
      resolve()
    }
    signal.addEventListener("abort", done)
    if (signal.aborted) done()
    else begin(done)
  })

const protobufFailure = (cause: { readonly message: string }) =>
  invalid(`ProtocolBuffers decoding error: ${cause.message}`)

const queryOf = (descriptor: FlightDescriptor): Result.Result<string, FlightFailure> => {
  if (descriptor.type !== DESCRIPTOR_CMD) {
    return Result.fail(invalid(`unsupported flight descriptor type: ${descriptor.type}`))
  }
  return Result.flatMap(
    Result.mapError(decodeAny(descriptor.cmd), protobufFailure),
    (any) =>
      any.typeUrl === STATEMENT_QUERY_TYPE_URL
        ? Result.mapError(decodeStatementQuery(descriptor.cmd), protobufFailure)
        : Result.fail(invalid(`unsupported flight descriptor command: ${any.typeUrl}`))
  )
}

const nonIncremental = (dialect: "nozzle" | "amp", operation: string): FlightFailure => {
  const name = dialect === "nozzle" ? `\`${operation}\`` : operation
  return invalid(
    `invalid query: non-incremental queries are not supported for streaming, query contains non-incremental operation: ${name}`
  )
}
