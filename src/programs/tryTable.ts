import { Effect, Stream } from "effect"
import type { TableSpec } from "../domain/TableSpec.ts"
import { FlightClient } from "../services/FlightClient.ts"
import { TableSink } from "../services/TableSink.ts"
import { describeTable } from "./describeTable.ts"
import { type Generation, requestOf } from "./Generation.ts"

/** A server or a database that does not answer for so long is taken for one that is down. */
export const ANSWERS_WITHIN = "45 seconds"

/** What cannot be streamed is refused at once; a server that says nothing for so long is waiting for a block. */
const FIRST_MESSAGE_WITHIN = "3 seconds"

/** What a start would do with a table, and none of it done: fails with what the server or the database would refuse. */
export const tryTable = Effect.fnUntraced(function*(generation: Generation, table: TableSpec) {
  const sink = yield* TableSink
  const plan = yield* sink.plan(requestOf(generation, table, yield* describeTable(table)))
  yield* tryStream(table)
  return plan
})

/** Fails where a query that the server can plan is one that it cannot stream, which only its stream tells. */
const tryStream = Effect.fnUntraced(function*(table: TableSpec) {
  const flight = yield* FlightClient
  yield* flight.open({ sql: table.query.streaming, cursor: undefined }).pipe(
    Effect.flatMap(({ messages }) => Stream.runDrain(Stream.take(messages, 1))),
    Effect.timeoutOption(FIRST_MESSAGE_WITHIN),
    Effect.scoped
  )
})
