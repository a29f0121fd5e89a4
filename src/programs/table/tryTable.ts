import { Duration, Effect } from "effect"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { FlightClient } from "../../services/FlightClient.ts"
import { TableSink } from "../../services/TableSink.ts"
import { type ActiveConfig, requestOf } from "../reload/ActiveConfig.ts"
import { answerOf } from "../verbs/inTime.ts"
import { describeTable } from "./describeTable.ts"
import { awaitFirstMessage } from "./firstMessage.ts"

/** A server or a database that does not answer for so long is taken for one that is down. */
export const ANSWERS_WITHIN = Duration.seconds(45)

/** What a start would do with a table, and none of it done: fails with what the server or the database would refuse. */
export const tryTable = Effect.fnUntraced(function*(active: ActiveConfig, table: TableSpec) {
  const sink = yield* TableSink
  const columns = yield* answerOf("flight")(describeTable(table))
  const planned = yield* Effect.result(answerOf("database")(sink.plan(requestOf(active, table, columns))))
  // What no stream can be made of may lack the columns of one: the server's own reason comes first.
  yield* answerOf("flight")(tryStream(table))
  return yield* Effect.fromResult(planned)
})

const tryStream = Effect.fnUntraced(function*(table: TableSpec) {
  const flight = yield* FlightClient
  yield* awaitFirstMessage(flight.open({ sql: table.query.streaming, cursor: undefined })).pipe(Effect.scoped)
})
