/** The verb `publish`: shows the tables of a schema in another one, once they have caught up. */
import { Console, Duration, Effect, Layer, Ref } from "effect"
import { SqlError } from "effect/sql"
import { elapsedMillis } from "../../../domain/elapsed.ts"
import { problemsOf, type SyncRecord } from "../../../domain/health/SyncRecord.ts"
import { formatMillis } from "../../../domain/numbers.ts"
import type { ViewPlan } from "../../../domain/publish/planViews.ts"
import type { ViewRequest } from "../../../domain/publish/ViewRequest.ts"
import { isRetryable } from "../../../domain/retryable.ts"
import { ConnectionConfig } from "../../../services/Config.ts"
import { isLocked } from "../../../services/PgPool.ts"
import { RecordedStatus } from "../../../services/RecordedStatus.ts"
import { SchemaViews, type ViewsAhead, type ViewsRejected } from "../../../services/SchemaViews.ts"
import { withCommitGrace } from "../../table/withCommitGrace.ts"
import { trackPending, withTimeLimit } from "../../timeLimit.ts"
import { type NotPublished, notPublished, refused } from "./Ending.ts"
import { behindText, planText, publishedLines, publishJson } from "./report.ts"
import { endsAtOnce, isNews, pauseOf, type Reported, type Waiting } from "./Waiting.ts"

export interface PublishOptions extends Pick<ViewRequest, "as" | "drop" | "from"> {
  /** How long to wait for what is not ready yet. */
  readonly wait: Duration.Duration
  /** How long the database may take for an answer. */
  readonly timeout: Duration.Duration
  readonly json: boolean
}

interface Published {
  readonly plan: ViewPlan
  readonly record: SyncRecord
}

const isWaiting = (result: Published | Waiting): result is Waiting => "kind" in result

const isShown = ({ missing, statements }: ViewPlan): boolean => missing.length === 0 && statements.length === 0

const isHeld = (error: SqlError.SqlError): boolean =>
  isLocked(error) || ["DeadlockError", "StatementTimeoutError"].includes(error.reason._tag)

/** One read of the bookkeeping, and the publication where all is ready. */
const attempt = Effect.fnUntraced(function*(options: PublishOptions, isOutcomeUnknown: Ref.Ref<boolean>) {
  const [status, views] = [yield* RecordedStatus, yield* SchemaViews]
  const { as, from } = options
  const limited = <A, E, R>(reading: Effect.Effect<A, E, R>) =>
    withTimeLimit(options.timeout, (reason) => refused(1, reason))(trackPending("database")(reading))

  const record = yield* Effect.catchTag(
    limited(status.read),
    "NothingRecorded",
    ({ message, reason }) => refused(reason === "no rights" ? 1 : 2, message)
  )
  const tables = record.tables.filter(({ state }) => state !== "removed")
  const request: ViewRequest = { ...options, tables: tables.map(({ table }) => table) }
  const problems = problemsOf(record).filter(({ code }) => code !== "reload failed")
  const readPlan = Effect.tap(limited(views.plan(request)), () => Ref.set(isOutcomeUnknown, false))
  if (problems.length > 0) {
    const reason = `in schema "${from}" ${problems.map(({ message }) => message).join("; ")}`
    const isLast = problems.some(endsAtOnce) || Duration.toMillis(options.wait) === 0
    const wasUnknown = yield* Ref.get(isOutcomeUnknown)
    if (isLast && !wasUnknown) return yield* refused(3, reason)
    // What is rejected whatever the tables become is not found out at the end of a long wait.
    const plan = yield* readPlan
    if (wasUnknown && isShown(plan)) return { plan, record } satisfies Published
    if (isLast) return yield* refused(3, reason)
    return {
      kind: "problem",
      reason,
      states: problems.map(({ code, table }) => `${table} ${code}`).join()
    } satisfies Waiting
  }
  const plan = yield* readPlan
  if (isShown(plan)) return { plan, record } satisfies Published
  const behind = tables.filter(({ state }) => state !== "caught up")
  if (behind.length > 0) {
    return { kind: "behind", reason: `${behindText(behind)} (then: ${planText(plan)})` } satisfies Waiting
  }
  if (plan.missing.length > 0) {
    return { kind: "behind", reason: `schema "${from}" has no table "${plan.missing[0]}" yet` } satisfies Waiting
  }
  yield* limited(views.requireAhead(request, plan))
  return yield* Ref.set(isOutcomeUnknown, true).pipe(
    Effect.andThen(withCommitGrace(views.publish(request))),
    Effect.map((plan): Published | Waiting => ({ plan, record })),
    Effect.tapError((error) =>
      error._tag === "SqlError" && isRetryable(error) && !isHeld(error)
        ? Effect.void
        : Ref.set(isOutcomeUnknown, false)
    ),
    Effect.catchIf(
      (error) => error._tag === "SqlError" && isHeld(error),
      () =>
        Effect.map(limited(views.holders(as)), (pids): Waiting => ({
          kind: "held",
          reason: pids.length === 0
            ? `a lock on the views of schema "${as}", or on a table that they are to show, is not free`
            : `transactions read the views of schema "${as}" (sessions with process id ${pids.join(", ")})`
        }))
    )
  )
})

/** As `attempt`, where what may heal is waited for. */
const attemptOrWait = (options: PublishOptions, isOutcomeUnknown: Ref.Ref<boolean>) =>
  attempt(options, isOutcomeUnknown).pipe(
    Effect.catch(
      (error: NotPublished | SqlError.SqlError | ViewsAhead | ViewsRejected): Effect.Effect<Waiting, NotPublished> => {
        if (error._tag === "NotPublished") return Effect.fail(error)
        if (error._tag === "ViewsAhead") return Effect.succeed({ kind: "ahead", reason: error.reason })
        if (error._tag === "ViewsRejected") return Effect.fail(notPublished(4, ...error.reasons))
        return isRetryable(error)
          ? Effect.succeed({ kind: "database", reason: error.message })
          : Effect.fail(refused(1, error.message))
      }
    )
  )

/** Publishes as soon as everything is ready, within the time of `wait`. */
const publishWhenReady = Effect.fnUntraced(function*(options: PublishOptions) {
  const begun = yield* elapsedMillis
  const until = begun + Duration.toMillis(options.wait)
  const isOutcomeUnknown = yield* Ref.make(false)
  let reported: Reported | undefined
  for (let held = 0;;) {
    const result = yield* attemptOrWait(options, isOutcomeUnknown)
    if (!isWaiting(result)) return result
    const now = yield* elapsedMillis
    held = result.kind === "held" ? held + 1 : 0
    if (now >= until) {
      if (yield* Ref.get(isOutcomeUnknown)) {
        return yield* notPublished(
          1,
          `it is not known whether schema "${options.as}" shows "${options.from}" now: ${result.reason}. Run publish again; it ` +
            "may be repeated"
        )
      }
      return yield* refused(
        result.kind === "database" ? 1 : 3,
        `${result.reason}. Waited ${formatMillis(now - begun)}; raise --wait to wait longer`
      )
    }
    if (isNews(result, reported, now)) {
      yield* Console.error(`Waiting: ${result.reason}`)
      reported = { ...result, atMillis: now }
    }
    yield* Effect.sleep(Math.min(pauseOf(result, held), until - now))
  }
})

/** Publishes, and prints what came of it. */
export const publish = Effect.fn("publish")(function*(options: PublishOptions) {
  const { as, from } = options
  const { database: { database, host, port } } = yield* ConnectionConfig
  const { plan, record } = yield* publishWhenReady(options)
  if (options.json) {
    const outcome = plan.statements.length === 0 ? "unchanged" : "published"
    return yield* Console.log(publishJson({ as, from, outcome, reasons: [], plan, record }))
  }
  const lines = publishedLines({ as, from }, plan, record, `database "${database}" at ${host}:${port}`)
  yield* Effect.forEach(lines, (line) => Console.log(line), { discard: true })
})

/** As `publish`, on services that are built first. */
export const connectAndPublish = <R>(
  options: PublishOptions,
  services: Layer.Layer<RecordedStatus | SchemaViews, SqlError.SqlError, R>
) =>
  Effect.gen(function*() {
    const { as, from } = options
    if (as === from) return yield* notPublished(2, `--from and --as name the same schema, "${as}"`)
    const connected = yield* withTimeLimit(options.timeout, (reason) => refused(1, reason))(
      Effect.mapError(Layer.build(services), ({ message }) => refused(1, message))
    )
    yield* Effect.provideContext(publish(options), connected)
  }).pipe(
    Effect.scoped,
    Effect.tapError(({ outcome, reasons }) =>
      options.json ? Console.log(publishJson({ as: options.as, from: options.from, outcome, reasons })) : Effect.void
    )
  )
