/** A resync while readers use the table: a second table is filled, and its rows take the place of those that differ. */
import { Duration, Effect, Ref, Schedule } from "effect"
import { backoff } from "../../../domain/backoff.ts"
import { formatMillis } from "../../../domain/numbers.ts"
import { isRetryable } from "../../../domain/retryable.ts"
import type { ComparedTables, Replaced } from "../../../services/TableExchange.ts"
import { TableExchange } from "../../../services/TableExchange.ts"
import { TableLeases, TableRejected } from "../../../services/TableLeases.ts"
import { TableSink } from "../../../services/TableSink.ts"
import { requestOf } from "../../reload/ActiveConfig.ts"
import { resolveNow } from "../../reload/resolveNow.ts"
import { sendHeartbeats } from "../../report/sendHeartbeats.ts"
import { describeTable } from "../../table/describeTable.ts"
import { withCommitGrace } from "../../table/withCommitGrace.ts"
import { trackPending } from "../../timeLimit.ts"
import { tableOfConfig } from "../tableOfConfig.ts"
import { ownerOf, type Report, type ResyncTarget, startSecondSync } from "./secondSync.ts"
import { settle, takeOver } from "./settle.ts"

/** Attempts at the exchange: about five minutes. */
const MAX_ATTEMPTS = 15
const retrySchedule = backoff("1 second", "30 seconds")

/** How long the writer of the table waits for the second table, which is at most a few blocks behind. */
const REACH_TIMEOUT = "20 seconds"
const REACH_INTERVAL = "100 millis"

/** How far it came; where it ends early, that decides what is left. */
export type OnlineStage = "begun" | "filling" | "replacing"

/** Resolves the config, and checks that a second table can be filled and take the place of the first one. */
export const resyncTarget = Effect.fnUntraced(function*(name: string) {
  const sink = yield* TableSink
  const active = yield* resolveNow
  const reject = (reason: string) => new TableRejected({ table: name, reason })
  const table = yield* Effect.mapError(Effect.fromResult(tableOfConfig(active, name)), reject)
  const request = requestOf(active, table, yield* trackPending("flight")(describeTable(table)))
  const { kind } = yield* trackPending("database")(sink.plan(request))
  if (kind === "create") return yield* reject("there is no such table yet; the next start creates and fills it")
  const target: ResyncTarget = { active, table, request }
  yield* requireNoObstacles(target)
  return target
})

const requireNoObstacles = Effect.fnUntraced(function*({ request, table: { name } }: ResyncTarget) {
  const { obstacles } = yield* TableExchange
  const found = yield* trackPending("database")(obstacles(request))
  if (found.length > 0) return yield* new TableRejected({ table: name, reason: found.join("; ") })
})

/** Fills the second table, compares, and becomes the writer of the first one once the second one has reached it. */
const catchUp = Effect.fnUntraced(function*(
  target: ResyncTarget,
  compared: Ref.Ref<ComparedTables | undefined>,
  report: Report
) {
  const { name } = target.table
  const exchange = yield* TableExchange
  const awaitCaughtUp = yield* startSecondSync(target, report)
  yield* awaitCaughtUp
  if ((yield* Ref.get(compared)) === undefined) {
    const [elapsed, found] = yield* Effect.timed(exchange.compare(name))
    yield* Ref.set(compared, found)
    if (found.upTo !== undefined) {
      yield* report(
        `Table "${name}": compared up to block ${found.upTo} in ${
          formatMillis(Duration.toMillis(elapsed))
        }; rows differ at ` +
          `${found.differing} positions.`
      )
    }
    yield* awaitCaughtUp
  }
  yield* requireNoObstacles(target)
  const lease = yield* takeOver(ownerOf(target))
  yield* Effect.retry(exchange.requireReached(lease), {
    schedule: Schedule.spaced(REACH_INTERVAL),
    while: (error) => error._tag === "SecondTableBehind"
  }).pipe(
    // Whether the time is over or not, the error names the blocks.
    Effect.timeoutOrElse({ duration: REACH_TIMEOUT, orElse: () => exchange.requireReached(lease) })
  )
  return lease
}, Effect.scoped)

/** One attempt; undefined where it succeeded and its numbers are not known. */
const attempt = Effect.fnUntraced(function*(
  target: ResyncTarget,
  compared: Ref.Ref<ComparedTables | undefined>,
  stage: Ref.Ref<OnlineStage>,
  report: Report
) {
  const [exchange, leases] = [yield* TableExchange, yield* TableLeases]
  const { name } = target.table
  yield* Ref.set(stage, "filling")
  yield* sendHeartbeats(Effect.void)
  // Where the transaction committed it is released already.
  yield* Effect.addFinalizer(() => Effect.ignore(leases.release(name)))
  const lease = yield* catchUp(target, compared, report)
  yield* Ref.set(stage, "replacing")
  const found = (yield* Ref.get(compared))!
  return yield* withCommitGrace(exchange.replace(lease, target.request, found)).pipe(
    Effect.map((replaced): Replaced | undefined => replaced),
    Effect.catchTag("SqlError", (error) => isRetryable(error) ? settle(ownerOf(target), error) : Effect.fail(error))
  )
}, Effect.scoped)

/**
 * Fills the second table and puts its rows into the table, while a sync and readers use it. What may heal is tried again; it
 * may end anywhere, and the next run continues it.
 */
export const exchangeOnline = Effect.fn("exchangeOnline")(function*(
  target: ResyncTarget,
  stage: Ref.Ref<OnlineStage>,
  report: Report
) {
  const { name } = target.table
  const compared = yield* Ref.make<ComparedTables | undefined>(undefined)
  return yield* Effect.retry(attempt(target, compared, stage, report), ($) =>
    $(retrySchedule).pipe(
      Schedule.while(({ attempt, input }) => attempt < MAX_ATTEMPTS && mayHeal(input)),
      Schedule.tap(({ duration, input }) =>
        report(
          `Table "${name}" is as it was: ${input.message}. Trying again in ${
            formatMillis(Duration.toMillis(duration))
          }.`
        )
      )
    ))
})

/** Another process that became the writer meanwhile is a reason to try again. */
const mayHeal = (error: { readonly _tag: string }): boolean => error._tag === "Fenced" || isRetryable(error)
