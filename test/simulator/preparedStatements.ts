import * as grpc from "@grpc/grpc-js"
import { Effect, Result, type Scope } from "effect"
import { DESCRIPTOR_CMD, encodeFlightDescriptor, encodeStatementQuery } from "../../src/domain/flight/messages.ts"
import { decodeFlightDescriptor } from "../../src/domain/flight/messages.ts"
import { decodeAny } from "../../src/domain/flight/statementQuery.ts"
import { readFields } from "../../src/domain/flight/wire.ts"
import { assemble, bytesField, stringField } from "../../src/domain/flight/wireWriter.ts"
import { flightServiceDefinition } from "../../src/simulator/flightService.ts"

/**
 * A proxy between a client that supports prepared statements only and a server that has none.
 *
 * The handle of a "prepared" statement is its text; GetFlightInfo is called with that text. Everything the server sends is
 * passed on byte for byte.
 */

const RESULT_URL = "type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementResult"
const path = (name: string) => `/arrow.flight.protocol.FlightService/${name}`
const asIs = (bytes: Buffer) => bytes
const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes)

/** Content of the first field 1, 2, ... of a message. */
const fieldOf = (bytes: Uint8Array, number: number): Uint8Array => {
  let content = new Uint8Array(0)
  Result.getOrThrow(readFields("message", bytes, (field) => {
    if (field.number === number) content = Uint8Array.from(field.bytes)
    return undefined
  }))
  return content
}

const valueOfAny = (bytes: Uint8Array): Uint8Array => Result.getOrThrow(decodeAny(bytes)).value

/** Returns the URL of a proxy in front of the server at `url`; it closes with the scope. */
export const preparedStatements = (url: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function*() {
    const upstream = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new grpc.Client(new URL(url).host, grpc.credentials.createInsecure(), { "grpc.max_receive_message_length": -1 })
      ),
      (client) => Effect.sync(() => client.close())
    )
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => new grpc.Server({ "grpc.max_send_message_length": -1 })),
      (_) => Effect.sync(() => _.forceShutdown())
    )
    server.addService(flightServiceDefinition, {
      DoAction: (call: grpc.ServerWritableStream<Uint8Array, Uint8Array>) => {
        if (Buffer.from(fieldOf(call.request, 1)).toString() === "CreatePreparedStatement") {
          const sql = fieldOf(valueOfAny(fieldOf(call.request, 2)), 1)
          const result = assemble([...stringField(1, RESULT_URL), ...bytesField(2, assemble(bytesField(1, sql)))])
          call.write(assemble(bytesField(1, result)))
        }
        call.end()
      },
      GetFlightInfo: (call: grpc.ServerUnaryCall<Uint8Array, Uint8Array>, callback: grpc.sendUnaryData<Uint8Array>) => {
        const { cmd } = Result.getOrThrow(decodeFlightDescriptor(call.request))
        const sql = Buffer.from(fieldOf(valueOfAny(cmd), 1)).toString()
        const request = encodeFlightDescriptor({ type: DESCRIPTOR_CMD, cmd: encodeStatementQuery(sql) })
        upstream.makeUnaryRequest(path("GetFlightInfo"), asBuffer, asIs, request, call.metadata, (error, info) =>
          callback(error, info))
      },
      DoGet: (call: grpc.ServerWritableStream<Uint8Array, Uint8Array>) => {
        const stream = upstream.makeServerStreamRequest(path("DoGet"), asBuffer, asIs, call.request)
        stream.on("data", (message: Buffer) =>
          call.write(message))
        stream.on("error", (error) =>
          call.emit("error", error))
        stream.on("end", () =>
          call.end())
      }
    })
    const port = yield* Effect.callback<number>((resume) =>
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_, bound) =>
        resume(Effect.succeed(bound)))
    )
    return `http://127.0.0.1:${port}`
  })
