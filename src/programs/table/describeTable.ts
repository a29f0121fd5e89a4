import { Effect, Schema } from "effect"
import { decodeSchema } from "../../domain/arrow/decodeSchema.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { FlightClient } from "../../services/FlightClient.ts"

/** The server described a query that no table can hold: nothing but a change of the query helps. */
export class UnreadableSchema extends Schema.TaggedError<UnreadableSchema>()("UnreadableSchema", {
  reason: Schema.String
}) {
  override get message() {
    return `the server's description of the query cannot be read: ${this.reason}`
  }
}

/** The columns of a query, from the server's description of it. */
export const readSchema = (bytes: Uint8Array) =>
  Effect.mapError(
    Effect.fromResult(decodeSchema(bytes)),
    (error) => new UnreadableSchema({ reason: error.message })
  )

/** The columns of a table's query as the server plans it. */
export const describeTable = Effect.fnUntraced(function*(table: TableSpec) {
  const flight = yield* FlightClient
  return yield* readSchema(yield* flight.schema(table.query.batch))
})
