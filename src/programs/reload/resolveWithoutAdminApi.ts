/** Resolves a config over Arrow Flight alone, by trying which names of datasets the server plans. */
import { Effect, Result, Schema } from "effect"
import type { Dialect } from "../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { namedDatasets, resolveQueries, sentUnresolved } from "../../domain/manifest/references.ts"
import { FlightClient, type FlightError } from "../../services/FlightClient.ts"
import { trackPending } from "../timeLimit.ts"
import type { ActiveConfig } from "./ActiveConfig.ts"

/** The server plans no query of a config, whichever way its datasets are named. */
export class NothingPlanned extends Schema.TaggedError<NothingPlanned>()("NothingPlanned", {
  /** Why the Admin API was not asked, where that came first. */
  adminApi: Schema.UndefinedOr(Schema.String),
  /** The first table that names a dataset. */
  table: Schema.String,
  reason: Schema.String,
  /** The server did not answer, or not to the query: what the config names is not in question. */
  isServerDown: Schema.Boolean
}) {
  override get message() {
    const unplanned =
      `the server that AMP_FLIGHT_ADDR names plans no query of the config: table "${this.table}": ${this.reason}`
    return this.adminApi === undefined ? unplanned : `${this.adminApi}; and ${unplanned}`
  }
  /** The dataset may yet be there, and so may the server. */
  get retryable() {
    return true
  }
}

/** Statuses of a query that names what the server does not have. Servers report it as an internal error. */
const ABOUT_QUERY: ReadonlySet<string> = new Set(["INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"])

/** Whether a failure is the server's reply to the query, and not that of a server that is down, busy or rejects the token. */
export const isAboutQuery = ({ status }: FlightError): boolean => ABOUT_QUERY.has(status)

/** Arguments of `sentUnresolved`, in the order tried; a server of one generation plans no names of the other. */
const candidates = [["amp", true], ["amp", false], ["nozzle", true]] as const satisfies ReadonlyArray<
  readonly [Dialect, boolean]
>

/**
 * Resolves a manifest without the Admin API: the server plans its queries with each way to name the datasets, until one
 * succeeds. Names without a version stay without one, so that the server's newest is read.
 */
export const resolveWithoutAdminApi = Effect.fn("resolveWithoutAdminApi")(function*(config: Manifest) {
  const flight = yield* FlightClient
  const resolved = candidates.map(([dialect, isOwnerKnown]) => ({
    dialect,
    manifest: resolveQueries(config, sentUnresolved(dialect, isOwnerKnown))
  }))
  let firstFailure: NothingPlanned | undefined
  for (const [index, table] of config.tables.entries()) {
    if (namedDatasets(config, table).length === 0) continue
    let last: NothingPlanned | undefined
    for (const { dialect, manifest } of resolved) {
      const planned = yield* Effect.result(trackPending("flight")(flight.schema(manifest.tables[index]!.query.batch)))
      if (Result.isSuccess(planned)) return { ...notLookedUp, config, manifest, dialect }
      const isServerDown = !isAboutQuery(planned.failure)
      const reason = planned.failure.message
      last = new NothingPlanned({ adminApi: undefined, table: table.name, reason, isServerDown })
      if (isServerDown) return yield* last
    }
    firstFailure ??= last
  }
  return firstFailure === undefined
    ? { ...notLookedUp, config, manifest: config, dialect: undefined }
    : yield* firstFailure
})

const notLookedUp = { info: undefined, sources: undefined, warnings: [] } satisfies Partial<ActiveConfig>
