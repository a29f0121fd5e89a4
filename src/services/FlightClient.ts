/**
 * Runs queries on a Nozzle / Amp server over Arrow Flight SQL.
 *
 * Owns the connection and what a call needs (headers, tickets, keep-alive); it does not look into the messages: they leave
 * as the server sent them, in order, none dropped before a failure is told.
 */
import type { Effect, Scope, Stream } from "effect"
import { Context, Schema } from "effect"
import type { Cursor } from "../domain/chain/BlockRange.ts"
import type { FlightData } from "../domain/flight/FlightData.ts"

export interface StreamRequest {
  /** The query with its streaming clause. */
  readonly sql: string
  /** Where to resume; from the first block where absent. */
  readonly cursor: Cursor | undefined
}

export class FlightError extends Schema.TaggedError<FlightError>()("FlightError", {
  operation: Schema.Literals(["GetFlightInfo", "DoGet"]),
  /** gRPC status name, such as `UNAVAILABLE`. */
  status: Schema.String,
  /** The server's words, bounded in length. */
  detail: Schema.String,
  /** Whether the same call may succeed later with nothing changed on our side. */
  retryable: Schema.Boolean
}) {
  override get message() {
    return `${this.operation} failed with ${this.status}: ${this.detail}`
  }
}

export class FlightClient extends Context.Service<FlightClient, {
  /** The columns a query yields, as the encapsulated IPC message of its schema. Nothing is executed. */
  readonly schema: (sql: string) => Effect.Effect<Uint8Array, FlightError>
  /**
   * Opens a streaming query: the call is made when the effect runs, and cancelled when the scope closes. The stream ends
   * when the server ends it. At most a few messages are read ahead.
   */
  readonly open: (
    request: StreamRequest
  ) => Effect.Effect<Stream.Stream<FlightData, FlightError>, FlightError, Scope.Scope>
  /** Runs a query once over what the server has now. */
  readonly query: (sql: string) => Stream.Stream<FlightData, FlightError>
}>()("ampsync/services/FlightClient") {}
