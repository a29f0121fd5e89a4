/**
 * The control handle for faults: tests and demonstrations plan them, the servers carry them out.
 *
 * Every method acts at once; its effect lasts until it is used up, revoked, or `clear` is called.
 */
import type { status } from "@grpc/grpc-js"
import type { Http2Server } from "node:http2"
import type { Socket } from "node:net"
import { FlightConnections, type PingPolicy } from "./FlightConnections.ts"
import { FlightFailure } from "./plan.ts"

/** The calls that can be planned to fail. */
export type CallName = "GetFlightInfo" | "DoGet"

/** One call as it arrived, for tests that check what a client sends. */
export interface RecordedCall {
  readonly call: CallName
  /** Text of the query; empty where it could not be read. */
  readonly sql: string
  readonly headers: Readonly<Record<string, string>>
}

/** A DoGet in progress. */
export interface StreamHandle {
  readonly peer: string
  /** Text of the query; empty where the ticket could not be read. */
  readonly sql: string
  /** False for a batch query. */
  readonly isStreaming: boolean
  /** Ends it with OK, or with `failure`. */
  readonly end: (failure?: FlightFailure) => void
}

interface PlannedFailure {
  readonly call: CallName | "any"
  readonly failure: FlightFailure
}

interface Countdown {
  left: number
  readonly act: (stream: StreamHandle) => void
}

const MAX_RECORDED_CALLS = 1000

export class Faults {
  /** Milliseconds before every message of a stream. */
  delayMillis = 0
  /** The cursor headers are read as if they were garbage: every stream begins at the start of the dataset. */
  ignoreResume = false
  /** The tables exist but have no data yet: nozzle ends an empty stream, amp ends after `{"ranges":[]}`. */
  noData = false
  /** The tables are registered but were never deployed (amp) or dumped (nozzle): queries are planned, DoGet fails. */
  notSynced = false
  /** Milliseconds before every response of the Admin API. */
  adminDelayMillis = 0

  /** The bearer token that both servers require now; none where undefined. Open streams go on when it changes. */
  token: string | undefined

  /** Messages of all streams so far. */
  messagesSent = 0

  private readonly open = new FlightConnections()
  private readonly streams = new Set<StreamHandle>()
  private readonly recorded: Array<RecordedCall> = []
  private plannedFailures: Array<PlannedFailure> = []
  private countdowns: Array<Countdown> = []
  private wrongPrevHashes = 0
  private adminFailures: Array<number> = []
  private silent = false
  private readonly silentCalls = new Set<CallName>()
  private readonly hanging = new Set<StreamHandle>()
  private readonly waiting = new Set<() => void>()

  /** Flight connections that are open now. */
  get connections(): number {
    return this.open.size
  }

  /** Streams that are open now. */
  get openStreams(): number {
    return this.streams.size
  }

  /** The last calls, oldest first. */
  get calls(): ReadonlyArray<RecordedCall> {
    return this.recorded
  }

  /** Resets every Flight connection (RST): clients see their calls fail with UNAVAILABLE. */
  cutAll(): void {
    this.open.reset()
  }

  /** Resets the oldest Flight connection. False when there is none. */
  cutOne(): boolean {
    const oldest = this.open.oldest()
    if (oldest !== undefined) this.open.reset(oldest)
    return oldest !== undefined
  }

  /** Closes the connection of the `messages`-th message from now on, right after that message. */
  cutAfter(messages: number): void {
    this.countdowns.push({ left: messages, act: (stream) => this.open.close(stream.peer) })
  }

  /** Ends the stream of the `messages`-th message from now on with an error, right after that message. */
  failAfter(messages: number, code: status, details: string): void {
    this.countdowns.push({ left: messages, act: (stream) => stream.end(new FlightFailure({ code, details })) })
  }

  /** Answers the next `times` calls with a status. */
  failNext(call: CallName | "any", code: status, details = "injected failure", times = 1): void {
    const failure = new FlightFailure({ code, details })
    this.plannedFailures.push(...Array.from({ length: times }, () => ({ call, failure })))
  }

  /** Ends every stream that is open now with OK. */
  endStreams(): void {
    for (const stream of this.streams) stream.end()
  }

  /** Ends every stream that is open now by RST_STREAM with NO_ERROR and without trailers, as a server that gets SIGTERM. */
  resetStreams(): void {
    this.open.resetStreams()
  }

  /**
   * Closes a connection by GOAWAY with ENHANCE_YOUR_CALM and `too_many_pings` when more than `maxStrikes` of its pings came
   * sooner than `minIntervalMillis` after the one before. gRPC's own servers do so by default, with 5 minutes and 2 strikes.
   */
  enforcePings(minIntervalMillis: number, maxStrikes = 2): void {
    this.open.enforcePings({ minIntervalMillis, maxStrikes } satisfies PingPolicy)
  }

  /** Answers calls on new connections with a web page under HTTP 200, as a gateway without its server does. */
  showMaintenancePage(): void {
    this.open.maintenancePage = true
  }

  /** The next `ranges` ranges have a `prev_hash` that belongs to no block. */
  swapPrevHash(ranges = 1): void {
    this.wrongPrevHashes += ranges
  }

  /** Accepts connections and calls but answers nothing and sends nothing, until `resume`. */
  silence(): void {
    this.silent = true
  }

  /** Accepts calls of one kind from now on but answers none of them, until `resume`. */
  silenceCalls(call: CallName): void {
    this.silentCalls.add(call)
  }

  /**
   * Lets streams that are open now hang: they send nothing more until `resume`, while the connection is alive and batch
   * queries and new streams are served. All of them, or those for which `matches` is true; returns how many.
   */
  hangStreams(matches: (stream: StreamHandle) => boolean = () => true): number {
    const chosen = [...this.streams].filter((stream) => stream.isStreaming && matches(stream))
    for (const stream of chosen) this.hanging.add(stream)
    return chosen.length
  }

  /** As `silence`, and pings are not answered either: the peer acknowledges at TCP and does nothing else. */
  freeze(): void {
    this.silent = true
    this.open.setReading(false)
  }

  /** Ends `silence`, `silenceCalls`, `freeze` and `hangStreams`. */
  resume(): void {
    this.silent = false
    this.silentCalls.clear()
    this.open.setReading(true)
    this.hanging.clear()
    for (const wake of this.waiting) wake()
    this.waiting.clear()
  }

  /** Answers the next `times` requests to the Admin API with an HTTP status such as 500 or 503. */
  failAdmin(httpStatus: number, times = 1): void {
    this.adminFailures.push(...Array.from({ length: times }, () => httpStatus))
  }

  /** Revokes all faults that are not yet used up. */
  clear(): void {
    this.delayMillis = 0
    this.ignoreResume = false
    this.noData = false
    this.notSynced = false
    this.adminDelayMillis = 0
    this.plannedFailures = []
    this.countdowns = []
    this.wrongPrevHashes = 0
    this.adminFailures = []
    this.open.enforcePings(undefined)
    this.open.maintenancePage = false
    this.resume()
  }

  /** For the Flight server: a connection arrived; calls `serve` when it may be served. */
  connected(peer: string, socket: Socket, serve: (socket: Socket) => void): void {
    this.open.add(peer, socket)
    void this.whenServing().then(() => {
      if (!socket.destroyed) this.open.serve(socket, serve)
    })
  }

  /** For the Flight server: registers its connections and streams. */
  watch(server: Http2Server): void {
    this.open.watch(server)
  }

  /** For the Flight server: resets the connection of one client. */
  cutPeer(peer: string): void {
    this.open.reset(peer)
  }

  /** For the servers: whether a request with this `authorization` header is accepted. */
  admits(authorization: string | undefined): boolean {
    return this.token === undefined || authorization === `Bearer ${this.token}`
  }

  /** For the Flight server: a call arrived; waits while silent, then returns the failure planned for it. */
  async arrived(call: RecordedCall): Promise<FlightFailure | undefined> {
    this.recorded.push(call)
    if (this.recorded.length > MAX_RECORDED_CALLS) this.recorded.shift()
    if (this.silentCalls.has(call.call)) await new Promise<void>((resolve) => this.waiting.add(resolve))
    await this.whenServing()
    const index = this.plannedFailures.findIndex((planned) => planned.call === "any" || planned.call === call.call)
    return index < 0 ? undefined : this.plannedFailures.splice(index, 1)[0]?.failure
  }

  /** For the Flight server: a stream was opened; returns the function to call when it ended. */
  opened(stream: StreamHandle): () => void {
    this.streams.add(stream)
    return () => {
      this.streams.delete(stream)
      this.hanging.delete(stream)
    }
  }

  /** For the Flight server: one message of `stream` is on its way. */
  sent(stream: StreamHandle): void {
    this.messagesSent += 1
    for (const countdown of this.countdowns) {
      countdown.left -= 1
      if (countdown.left === 0) countdown.act(stream)
    }
    this.countdowns = this.countdowns.filter((countdown) => countdown.left > 0)
  }

  /** For the Flight server: whether this range is to have a wrong `prev_hash`. */
  takeWrongPrevHash(): boolean {
    if (this.wrongPrevHashes === 0) return false
    this.wrongPrevHashes -= 1
    return true
  }

  /** For the Admin server: the HTTP status planned for this request. */
  takeAdminFailure(): number | undefined {
    return this.adminFailures.shift()
  }

  /** For the servers: settles when the server is not silent, and `stream`, where one is given, does not hang. */
  whenServing(stream?: StreamHandle): Promise<void> {
    return this.holds(stream) ? new Promise((resolve) => this.waiting.add(resolve)) : Promise.resolve()
  }

  /** For the Flight server: whether the next message of `stream` must wait. */
  holds(stream?: StreamHandle): boolean {
    return this.silent || (stream !== undefined && this.hanging.has(stream))
  }
}
