import { Effect, Result, Schema } from "effect"
import type { Dialect } from "../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { namedDatasets, resolveQueries, sentUnresolved } from "../../domain/manifest/references.ts"
import { FlightClient, type FlightError } from "../../services/FlightClient.ts"
import { answerOf } from "../verbs/inTime.ts"
import type { ActiveConfig } from "./ActiveConfig.ts"

/** No way to name the datasets of a config is one that the server plans a query with. */
export class NothingPlanned extends Schema.TaggedError<NothingPlanned>()("NothingPlanned", {
  /** Why the Admin API was not asked, where that came first. */
  adminApi: Schema.UndefinedOr(Schema.String),
  /** The first table that names a dataset. */
  table: Schema.String,
  reason: Schema.String
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

/** The server's reply is about the query, also where it is called an internal error; one that is not there has none. */
export const isAboutQuery = ({ status }: FlightError): boolean =>
  status !== "UNAVAILABLE" && status !== "DEADLINE_EXCEEDED" && status !== "CANCELLED"

/** How the datasets of a config may be named, as `sentUnresolved` has it; a server of one generation plans no name of the other. */
const candidates = [["amp", true], ["amp", false], ["nozzle", true]] as const satisfies ReadonlyArray<
  readonly [Dialect, boolean]
>

/**
 * What a manifest means, without the Admin API: Arrow Flight is asked which way to name its datasets it knows. Names without
 * a version stay without one, so that the server's newest is read.
 */
export const resolveWithoutAdminApi = Effect.fn("resolveWithoutAdminApi")(function*(config: Manifest) {
  const flight = yield* FlightClient
  let refusal: NothingPlanned | undefined
  for (const [index, table] of config.tables.entries()) {
    if (namedDatasets(config, table).length === 0) continue
    let last: NothingPlanned | undefined
    for (const [dialect, isOwnerKnown] of candidates) {
      const manifest = resolveQueries(config, sentUnresolved(dialect, isOwnerKnown))
      const planned = yield* Effect.result(answerOf("flight")(flight.schema(manifest.tables[index]!.query.batch)))
      if (Result.isSuccess(planned)) return { ...nothingAsked, config, manifest, dialect }
      last = new NothingPlanned({ adminApi: undefined, table: table.name, reason: planned.failure.message })
      if (!isAboutQuery(planned.failure)) return yield* last
    }
    refusal ??= last
  }
  return refusal === undefined ? { ...nothingAsked, config, manifest: config, dialect: undefined } : yield* refusal
})

const nothingAsked = { info: undefined, sources: undefined, warnings: [] } satisfies Partial<ActiveConfig>
