/** Checks one table as a start would, without changing anything. */
import { Duration, Effect } from "effect"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { FlightClient } from "../../services/FlightClient.ts"
import { TableSink } from "../../services/TableSink.ts"
import { type ActiveConfig, requestOf } from "../reload/ActiveConfig.ts"
import { trackPending } from "../timeLimit.ts"
import { defersIndexes } from "./defersIndexes.ts"
import { describeTable } from "./describeTable.ts"
import { awaitFirstMessage } from "./firstMessage.ts"

/** A server or a database that does not answer for so long counts as down. */
export const RESPONSE_TIMEOUT = Duration.seconds(45)

/** Plans what a start would do with a table; fails with what the server or the database would refuse. */
export const tryTable = Effect.fnUntraced(function*(active: ActiveConfig, table: TableSpec) {
  const sink = yield* TableSink
  const columns = yield* trackPending("flight")(describeTable(table))
  const request = requestOf(active, table, columns)
  const plan = (defersIndexes: boolean) => trackPending("database")(sink.plan({ ...request, defersIndexes }))
  const planned = yield* Effect.result(
    Effect.filterOrElse(
      plan(false),
      ({ kind }) => kind !== "create",
      () => Effect.flatMap(defersIndexes(active, table), plan)
    )
  )
  // A query that cannot be streamed may lack the columns of a stream: the server's own reason comes first.
  yield* trackPending("flight")(tryStream(table))
  return yield* Effect.fromResult(planned)
})

/** Fails where the server cannot stream the query of a table, which its plan alone does not show. */
export const tryStream = Effect.fnUntraced(function*(table: TableSpec) {
  const flight = yield* FlightClient
  yield* awaitFirstMessage(flight.open({ sql: table.query.streaming, cursor: undefined })).pipe(Effect.scoped)
})
