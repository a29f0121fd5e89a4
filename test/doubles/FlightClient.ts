/** A `FlightClient` without a server: the test decides the outcome of each query. */
import { Effect, Layer, type Scope, type Stream } from "effect"
import type { FlightData } from "../../src/domain/flight/FlightData.ts"
import { FlightClient, FlightError, type StreamRequest } from "../../src/services/FlightClient.ts"
import { encapsulate, encodeSchema } from "../../src/simulator/arrowIpc.ts"
import { frameFields } from "../support/frames.ts"

/** The columns of every query, as GetFlightInfo reports them. */
export const flightSchema = encapsulate(encodeSchema(frameFields))

export const flightError = (retryable = true, operation: FlightError["operation"] = "DoGet"): FlightError =>
  new FlightError({
    operation,
    status: retryable ? "UNAVAILABLE" : "INVALID_ARGUMENT",
    detail: "injected",
    retryable
  })

export type Messages = Stream.Stream<FlightData, FlightError>

/** The outcome of each query. */
export interface FlightScript {
  readonly open?: (request: StreamRequest) => Effect.Effect<Messages, FlightError, Scope.Scope>
  /** Runs before the columns of a query are returned. */
  readonly describe?: (sql: string) => Effect.Effect<void, FlightError>
}

/** The client; a stream without a script is a defect. */
export const flightClient = ({ describe, open }: FlightScript): Layer.Layer<FlightClient> =>
  Layer.mock(FlightClient, {
    schema: (sql) => Effect.suspend(() => Effect.as(describe?.(sql) ?? Effect.void, flightSchema)),
    open: (request) =>
      Effect.map(
        Effect.suspend(() => open?.(request) ?? Effect.die("unexpected stream")),
        (messages) => ({ schema: flightSchema, messages })
      )
  })
