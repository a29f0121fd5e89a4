/** The columns of a query, as the server describes them. */
import { Effect, Schema } from "effect"
import { decodeSchema } from "../../domain/arrow/decodeSchema.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { FlightClient } from "../../services/FlightClient.ts"

/** The server's description of a query cannot be read: only a change of the query helps. */
export class UnreadableSchema extends Schema.TaggedError<UnreadableSchema>()("UnreadableSchema", {
  reason: Schema.String
}) {
  override get message() {
    return `the server's description of the query cannot be read: ${this.reason}`
  }
}

/** Decodes the server's description of a query, an IPC message with a schema. */
export const readSchema = (bytes: Uint8Array) =>
  Effect.mapError(
    Effect.fromResult(decodeSchema(bytes)),
    (error) => new UnreadableSchema({ reason: error.message })
  )

/** Has the server plan the query of a table, and decodes the columns. */
export const describeTable = Effect.fnUntraced(function*(table: TableSpec) {
  const flight = yield* FlightClient
  return yield* readSchema(yield* flight.schema(table.query.batch))
})
