/** `arrow.flight.protocol.FlightService` for grpc-js. Messages stay bytes here: the codecs are those of `domain/flight`. */
import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js"
import { type handleServerStreamingCall, type handleUnaryCall, status } from "@grpc/grpc-js"

const SERVICE = "arrow.flight.protocol.FlightService"
const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const asIs = (bytes: Buffer): Uint8Array => bytes

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/${SERVICE}/${name}`,
  requestStream,
  responseStream,
  requestSerialize: asBuffer,
  requestDeserialize: asIs,
  responseSerialize: asBuffer,
  responseDeserialize: asIs
})

export const flightServiceDefinition = {
  Handshake: method("Handshake", true, true),
  ListFlights: method("ListFlights", false, true),
  GetFlightInfo: method("GetFlightInfo", false, false),
  PollFlightInfo: method("PollFlightInfo", false, false),
  GetSchema: method("GetSchema", false, false),
  DoGet: method("DoGet", false, true),
  DoPut: method("DoPut", true, true),
  DoExchange: method("DoExchange", true, true),
  DoAction: method("DoAction", false, true),
  ListActions: method("ListActions", false, true)
} satisfies ServiceDefinition

export interface FlightHandlers {
  readonly GetFlightInfo: handleUnaryCall<Uint8Array, Uint8Array>
  readonly DoGet: handleServerStreamingCall<Uint8Array, Uint8Array>
  /** The real server panics on this one, which tears down the connection. */
  readonly onHandshake: (peer: string) => void
}

interface Call {
  readonly getPeer: () => string
  readonly emit: (event: "error", error: { code: status; details: string }) => void
}

/** All ten methods: two work, the others fail with UNIMPLEMENTED and their name. */
export const flightService = (handlers: FlightHandlers): UntypedServiceImplementation => {
  const unary = (name: string) => (_: unknown, callback: (error: { code: status; details: string }) => void) =>
    callback({ code: status.UNIMPLEMENTED, details: name })
  const streaming = (name: string) => (call: Call) => call.emit("error", { code: status.UNIMPLEMENTED, details: name })
  return {
    GetFlightInfo: handlers.GetFlightInfo,
    DoGet: handlers.DoGet,
    Handshake: (call: Call) => handlers.onHandshake(call.getPeer()),
    ListFlights: streaming("list_flights"),
    PollFlightInfo: unary("poll_flight_info"),
    GetSchema: unary("get_schema"),
    DoPut: streaming("do_put"),
    DoExchange: streaming("do_exchange"),
    DoAction: streaming("do_action"),
    ListActions: streaming("list_actions")
  } as UntypedServiceImplementation
}
