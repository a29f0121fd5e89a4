/**
 * Runs queries on a Nozzle / Amp server over Arrow Flight SQL.
 *
 * Owns the connections, one per query, and what a call needs (headers, tickets, keep-alive, deadlines). It does not decode the
 * messages: they are delivered as the server sent them, in order, none dropped before a failure is reported.
 */
import type { Effect, Scope, Stream } from "effect"
import { Context, Schema } from "effect"
import type { Cursor } from "../domain/chain/BlockRange.ts"
import type { FlightData } from "../domain/flight/FlightData.ts"

/** A streaming query and where it resumes. */
export interface StreamRequest {
  /** The query with its streaming clause. */
  readonly sql: string
  /** Where to resume; from the first block where absent. */
  readonly cursor: Cursor | undefined
}

/** A Flight call failed. */
export class FlightError extends Schema.TaggedError<FlightError>()("FlightError", {
  operation: Schema.Literals(["GetFlightInfo", "DoGet"]),
  /** gRPC status name, such as `UNAVAILABLE`. */
  status: Schema.String,
  /** The server's words, bounded in length. */
  detail: Schema.String,
  /** Whether the same call may succeed later without a change on the client's side. */
  retryable: Schema.Boolean
}) {
  override get message() {
    return `${this.operation} failed with ${this.status}: ${this.detail}`
  }
}

/** A streaming query on a connection of its own. */
export interface FlightStream {
  /** The columns the query yields, as the encapsulated IPC message of its schema. */
  readonly schema: Uint8Array
  /**
   * The messages, from the same response as the schema. The call is made when the stream runs, and cancelled when its scope
   * closes; it ends when the server ends it, also without a status, as one that stops. One message is read ahead.
   */
  readonly messages: Stream.Stream<FlightData, FlightError>
}

export class FlightClient extends Context.Service<FlightClient, {
  /** Reads the columns a query yields, as the encapsulated IPC message of its schema. The query is not executed. */
  readonly schema: (sql: string) => Effect.Effect<Uint8Array, FlightError>
  /**
   * Opens a connection, which closes with the scope, and plans a streaming query on it. Fails after 10 s without a
   * connection, and after 60 s without a plan.
   */
  readonly open: (request: StreamRequest) => Effect.Effect<FlightStream, FlightError, Scope.Scope>
  /** Runs a query once over what the server has now, on a connection of its own. */
  readonly query: (sql: string) => Stream.Stream<FlightData, FlightError>
}>()("ampsync/services/FlightClient") {}
