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
  const planned = yield* Effect.result(plan(false))
  // A query that cannot be streamed may lack the columns of a stream: the server's own reason comes first.
  const network = yield* trackPending("flight")(tryStream(table))
  const found = yield* Effect.fromResult(planned)
  return found.kind === "create" ? yield* Effect.flatMap(defersIndexes(active, table, network), plan) : found
})

/** Fails where the server cannot stream the query of a table, which its plan alone does not show; returns as `awaitFirstMessage`. */
export const tryStream = Effect.fnUntraced(function*(table: TableSpec) {
  const flight = yield* FlightClient
  return yield* awaitFirstMessage(flight.open({ sql: table.query.streaming, cursor: undefined })).pipe(Effect.scoped)
})
