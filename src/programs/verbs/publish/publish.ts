/** The verb `publish`: shows the tables of a schema in another one, once they have caught up. */
import { Console, Duration, Effect, Layer, Ref } from "effect"
import { SqlError } from "effect/sql"
import { elapsedMillis } from "../../../domain/elapsed.ts"
import { problemsOf, type SyncRecord } from "../../../domain/health/SyncRecord.ts"
import { formatMillis } from "../../../domain/numbers.ts"
import type { ViewPlan, ViewRequest } from "../../../domain/publish/planViews.ts"
import { isRetryable } from "../../../domain/retryable.ts"
import { ConnectionConfig } from "../../../services/Config.ts"
import { isLocked } from "../../../services/PgPool.ts"
import { RecordedStatus } from "../../../services/RecordedStatus.ts"
import { SchemaViews, type ViewsAhead, type ViewsRejected } from "../../../services/SchemaViews.ts"
import { withCommitGrace } from "../../table/withCommitGrace.ts"
import { trackPending, withTimeLimit } from "../../timeLimit.ts"
import { type NotPublished, notPublished, refused } from "./Ending.ts"
import { behindText, planText, publishedLines, publishJson } from "./report.ts"

export interface PublishOptions extends Pick<ViewRequest, "as" | "drop" | "from"> {
  /** How long to wait for what is not ready yet. */
  readonly wait: Duration.Duration
  /** How long the database may take for an answer. */
  readonly timeout: Duration.Duration
  readonly json: boolean
}

/** Between two reads of tables that have not caught up. */
const POLL_MILLIS = 1_000
/** Between two attempts where the schema that readers see is a block ahead: the next block may come any moment. */
const AHEAD_MILLIS = 250
/** Between two attempts where transactions read the views, for each of which new readers wait. */
const HELD_MILLIS = [1_000, 2_000, 4_000, 5_000]
/** Between two lines about the same. */
const REPORT_MILLIS = 10_000

interface Published {
  readonly plan: ViewPlan
  readonly record: SyncRecord
}

/** What is not ready yet: `kind` decides how soon it is tried again. */
interface Waiting {
  readonly kind: "behind" | "ahead" | "held" | "database"
  readonly reason: string
}

const isWaiting = (result: Published | Waiting): result is Waiting => "kind" in result

const isHeld = (error: SqlError.SqlError): boolean =>
  isLocked(error) || ["DeadlockError", "StatementTimeoutError"].includes(error.reason._tag)

/** One read of the bookkeeping, and the publication where all is ready. `attempted` is whether the outcome of one is not known. */
const attempt = Effect.fnUntraced(function*(options: PublishOptions, attempted: Ref.Ref<boolean>) {
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
  if (problems.length > 0) {
    return yield* refused(3, `in schema "${from}" ${problems.map(({ message }) => message).join("; ")}`)
  }
  const plan = yield* limited(views.plan(request))
  yield* Ref.set(attempted, false)
  if (plan.missing.length === 0 && plan.statements.length === 0) return { plan, record } satisfies Published
  const behind = tables.filter(({ state }) => state !== "caught up")
  if (behind.length > 0) {
    return { kind: "behind", reason: `${behindText(behind)} (then: ${planText(plan)})` } satisfies Waiting
  }
  if (plan.missing.length > 0) {
    return { kind: "behind", reason: `schema "${from}" has no table "${plan.missing[0]}" yet` } satisfies Waiting
  }
  yield* limited(views.requireAhead(request, plan))
  return yield* Ref.set(attempted, true).pipe(
    Effect.andThen(withCommitGrace(views.publish(request))),
    Effect.map((plan): Published | Waiting => ({ plan, record })),
    Effect.tapError((error) =>
      error._tag === "SqlError" && isRetryable(error) && !isHeld(error)
        ? Effect.void
        : Ref.set(attempted, false)
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
const attemptOrWait = (options: PublishOptions, attempted: Ref.Ref<boolean>) =>
  attempt(options, attempted).pipe(
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

const pauseOf = ({ kind }: Waiting, attempts: number): number =>
  kind === "ahead"
    ? AHEAD_MILLIS
    : kind === "held"
    ? HELD_MILLIS[Math.min(attempts, HELD_MILLIS.length) - 1]!
    : POLL_MILLIS

/** Publishes as soon as everything is ready, within the time of `wait`. */
const publishWhenReady = Effect.fnUntraced(function*(options: PublishOptions) {
  const begun = yield* elapsedMillis
  const until = begun + Duration.toMillis(options.wait)
  const attempted = yield* Ref.make(false)
  let reported: { readonly kind: Waiting["kind"]; readonly at: number } | undefined
  for (let held = 0;;) {
    const result = yield* attemptOrWait(options, attempted)
    if (!isWaiting(result)) return result
    const now = yield* elapsedMillis
    held = result.kind === "held" ? held + 1 : 0
    if (now >= until) {
      if (yield* Ref.get(attempted)) {
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
    if (reported?.kind !== result.kind || now - reported.at >= REPORT_MILLIS) {
      yield* Console.error(`Waiting: ${result.reason}`)
      reported = { kind: result.kind, at: now }
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
