import { Effect, Schema, Stream } from "effect"
import { decodeSchema } from "../domain/arrow/decodeSchema.ts"
import type { TableSpec } from "../domain/TableSpec.ts"
import { FlightClient } from "../services/FlightClient.ts"

/** The server described a query that no table can hold: nothing but a change of the query helps. */
export class UnreadableSchema extends Schema.TaggedError<UnreadableSchema>()("UnreadableSchema", {
  reason: Schema.String
}) {
  override get message() {
    return `the server's description of the query cannot be read: ${this.reason}`
  }
}

/** The columns of a table's query as the server plans it. */
export const describeTable = Effect.fnUntraced(function*(table: TableSpec) {
  const flight = yield* FlightClient
  const bytes = yield* flight.schema(table.query.batch)
  return yield* Effect.mapError(
    Effect.fromResult(decodeSchema(bytes)),
    (error) => new UnreadableSchema({ reason: error.message })
  )
})

/** What cannot be streamed is refused at once; a server that says nothing for so long is waiting for a block. */
const FIRST_MESSAGE_WITHIN = "3 seconds"

/** Fails where a query that the server can plan is one that it cannot stream, which only its stream tells. */
export const tryStream = Effect.fnUntraced(function*(table: TableSpec) {
  const flight = yield* FlightClient
  yield* flight.open({ sql: table.query.streaming, cursor: undefined }).pipe(
    Effect.flatMap((messages) => Stream.runDrain(Stream.take(messages, 1))),
    Effect.timeoutOption(FIRST_MESSAGE_WITHIN),
    Effect.scoped
  )
})
