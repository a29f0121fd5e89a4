/** Checks a changed config before it is activated. */
import { Effect, Result, Schema } from "effect"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { RESPONSE_TIMEOUT, tryTable } from "../table/tryTable.ts"
import { withAnswerLimit } from "../timeLimit.ts"
import { type ActiveConfig, compareConfigs } from "./ActiveConfig.ts"
import type { CheckedTables } from "./CheckedTables.ts"
import { missingTable } from "./missingTable.ts"
import { resolveConfig, resolveWithFallback } from "./resolveConfig.ts"
import { isAboutQuery } from "./resolveWithoutAdminApi.ts"

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

/** Most of the time of a check is the wait for streams that send nothing. A start opens all of them at once. */
const CONCURRENT_TABLES = 16

/** Why a table cannot be activated. */
interface Problem {
  readonly problem: string
  readonly retryable: boolean
  /** No answer came, or none to the query: it is not worth the time to wait for those to other tables. */
  readonly isPeerDown: boolean
}

/**
 * Checks with the server and the database whether a manifest can be activated, and changes nothing: its dataset exists, the
 * server plans and streams every query that is new or changed, and every table fits the columns of its query.
 *
 * The time for an answer is limited for each table. Once one has found no answer, no further one is checked.
 */
export const checkConfig = Effect.fn("checkConfig")(function*(
  current: ActiveConfig,
  manifest: Manifest,
  checked: CheckedTables
) {
  // Going on without the Admin API would lose what is known of the active config; nothing is where it was silent before.
  const resolving = current.sources === undefined ? resolveWithFallback(manifest, 0) : resolveConfig(manifest)
  const next = yield* resolving.pipe(
    Effect.mapError((error) => new ReloadRejected({ problems: [error.message], retryable: error.retryable }))
  )
  checked.resolve(next)
  const { changed, started } = compareConfigs(current, next)
  let isPeerDown = false
  const checkNext = Effect.fnUntraced(function*(table: TableSpec) {
    if (isPeerDown) return undefined
    const result = yield* Effect.result(checkTable(next, table))
    if (Result.isFailure(result)) {
      isPeerDown ||= result.failure.isPeerDown
      return result.failure
    }
    checked.add(table)
    return undefined
  })
  const open = [...changed, ...started].filter((table) => !checked.has(table))
  const results = yield* Effect.forEach(open, checkNext, { concurrency: CONCURRENT_TABLES })
  const failures = results.filter((failure) => failure !== undefined)
  if (failures.length === 0) return next
  return yield* new ReloadRejected({
    problems: failures.map(({ problem }) => problem),
    retryable: failures.every(({ retryable }) => retryable)
  })
})

const checkTable = (next: ActiveConfig, table: TableSpec) =>
  tryTable(next, table).pipe(
    Effect.catch(Effect.fnUntraced(function*(error) {
      const problem = error._tag === "TableRejected" ? error.message : `table "${table.name}": ${error.message}`
      const missing = error._tag === "FlightError" ? yield* missingTable(next, table, error.detail) : undefined
      const isPeerDown = error._tag === "FlightError" && isRetryable(error) && !isAboutQuery(error)
      return yield* Effect.fail<Problem>(
        missing === undefined
          ? { problem, retryable: isRetryable(error), isPeerDown }
          : { problem: `table "${table.name}": ${missing}`, retryable: false, isPeerDown: false }
      )
    })),
    withAnswerLimit(RESPONSE_TIMEOUT, (reason): Problem => ({
      problem: `table "${table.name}": ${reason}`,
      retryable: true,
      isPeerDown: true
    }))
  )
