import { Duration, Effect, Result, Schema } from "effect"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { ANSWERS_WITHIN, tryTable } from "../table/tryTable.ts"
import { type ActiveConfig, compareConfigs } from "./ActiveConfig.ts"
import { resolveConfig, resolveWithFallback } from "./resolveConfig.ts"

/** A manifest that cannot be put into force. */
export class ReloadRejected extends Schema.TaggedError<ReloadRejected>()("ReloadRejected", {
  problems: Schema.Array(Schema.String),
  /** Nothing of it is the manifest's fault: the same one may be good later. */
  retryable: Schema.Boolean
}) {
  override get message() {
    return this.problems.length === 1 ? this.problems[0]! : this.problems.map((problem) => `\n  - ${problem}`).join("")
  }
}

/**
 * Asks the server and the database whether a manifest can be put into force, and changes nothing: its dataset is there, the
 * server plans and streams every query that is new or changed, and every table can be what its query yields.
 */
export const checkConfig = Effect.fn("checkConfig")(function*(current: ActiveConfig, manifest: Manifest) {
  // What is known of what runs would be lost; where nothing is, the Admin API was silent before.
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
    duration: ANSWERS_WITHIN,
    orElse: () =>
      Effect.fail(
        new ReloadRejected({
          problems: [`it could not be checked within ${Duration.toSeconds(ANSWERS_WITHIN)} seconds`],
          retryable: true
        })
      )
  }))

const checkTable = (next: ActiveConfig, table: TableSpec) =>
  Effect.mapError(tryTable(next, table), (error) => ({
    problem: error._tag === "TableRefused" ? error.message : `table "${table.name}": ${error.message}`,
    retryable: isRetryable(error)
  }))
