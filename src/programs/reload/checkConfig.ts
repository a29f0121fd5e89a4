/** Checks a changed config before it is activated. */
import { Duration, Effect, Result, Schema } from "effect"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { RESPONSE_TIMEOUT, tryTable } from "../table/tryTable.ts"
import { type ActiveConfig, compareConfigs } from "./ActiveConfig.ts"
import { missingTable } from "./missingTable.ts"
import { resolveConfig, resolveWithFallback } from "./resolveConfig.ts"

/** A manifest that cannot be activated. */
export class ReloadRejected extends Schema.TaggedError<ReloadRejected>()("ReloadRejected", {
  problems: Schema.Array(Schema.String),
  /** None of the problems is in the manifest: the same one may be valid later. */
  retryable: Schema.Boolean
}) {
  override get message() {
    return this.problems.length === 1 ? this.problems[0]! : this.problems.map((problem) => `\n  - ${problem}`).join("")
  }
}

/**
 * Checks with the server and the database whether a manifest can be activated, and changes nothing: its dataset exists, the
 * server plans and streams every query that is new or changed, and every table fits the columns of its query.
 */
export const checkConfig = Effect.fn("checkConfig")(function*(current: ActiveConfig, manifest: Manifest) {
  // Going on without the Admin API would lose what is known of the active config; nothing is where it was silent before.
  const resolving = current.sources === undefined ? resolveWithFallback(manifest, 0) : resolveConfig(manifest)
  const next = yield* resolving.pipe(
    Effect.mapError((error) => new ReloadRejected({ problems: [error.message], retryable: error.retryable }))
  )
  const { changed, started } = compareConfigs(current, next)
  const results = yield* Effect.forEach([...changed, ...started], (table) => Effect.result(checkTable(next, table)), {
    concurrency: 4
  })
  const failures = results.filter(Result.isFailure).map(({ failure }) => failure)
  if (failures.length === 0) return next
  return yield* new ReloadRejected({
    problems: failures.map(({ problem }) => problem),
    retryable: failures.every(({ retryable }) => retryable)
  })
}, (check) =>
  Effect.timeoutOrElse(check, {
    duration: RESPONSE_TIMEOUT,
    orElse: () =>
      Effect.fail(
        new ReloadRejected({
          problems: [`the check was not complete within ${Duration.toSeconds(RESPONSE_TIMEOUT)} seconds`],
          retryable: true
        })
      )
  }))

const checkTable = (next: ActiveConfig, table: TableSpec) =>
  Effect.catch(
    tryTable(next, table),
    Effect.fnUntraced(function*(error) {
      const problem = error._tag === "TableRejected" ? error.message : `table "${table.name}": ${error.message}`
      const missing = error._tag === "FlightError" ? yield* missingTable(next, table, error.detail) : undefined
      return yield* Effect.fail(
        missing === undefined
          ? { problem, retryable: isRetryable(error) }
          : { problem: `table "${table.name}": ${missing}`, retryable: false }
      )
    })
  )
