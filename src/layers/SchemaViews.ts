/** `SchemaViews` in the target database. */
import { Effect, Layer, Result } from "effect"
import { planViews, type ViewPlan } from "../domain/publish/planViews.ts"
import { type Position, whyBehind } from "../domain/publish/Position.ts"
import type { ViewRequest } from "../domain/publish/ViewRequest.ts"
import { textLiteral } from "../domain/sql/literal.ts"
import { PgPool, runOn } from "../services/PgPool.ts"
import { SchemaViews, ViewsAhead, ViewsRejected } from "../services/SchemaViews.ts"
import { readViewFacts } from "./schema-views/facts.ts"
import { readPosition, whyDifferent } from "./schema-views/position.ts"

/** The `application_name` of its transaction. */
const SESSION_NAME = "ampsync publish"

/**
 * For the lock on one view, in milliseconds: new readers of that view wait behind it. Less than `deadlock_timeout`, after which
 * PostgreSQL would end a reader that holds one view and waits for another.
 */
const SET_LOCK_TIMEOUT = `
  SELECT set_config('lock_timeout', least(200, greatest(1, setting::int / 2)) || 'ms', true)
  FROM pg_settings WHERE name = 'deadlock_timeout'`

/** For all views together, which the first readers of the first one wait for. */
const limitMillis = (statements: number): number => 500 + 5 * statements

const HOLDERS = `
  SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid() AND n.nspname = $1 AND c.relkind = 'v'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  ORDER BY 1`

const make = Effect.gen(function*() {
  const { sql, transaction } = yield* PgPool
  const run = runOn(sql)

  const plan = Effect.fn("SchemaViews.plan")(function*(request: ViewRequest) {
    const planned = planViews(request, yield* readViewFacts(run, request))
    return Result.isSuccess(planned) ? planned.success : yield* new ViewsRejected({ reasons: planned.failure })
  })

  /** Fails where readers of the schemas that are shown now would go back to `next`. */
  const requireReached = Effect.fnUntraced(
    function*({ from, tables }: ViewRequest, { shown }: Pick<ViewPlan, "shown">, next: Position) {
      for (const schema of shown) {
        if (schema === from) continue
        const reason = whyBehind(yield* readPosition(run, schema), next, tables) ??
          (yield* whyDifferent(run, schema, from, tables))
        if (reason !== undefined) return yield* new ViewsAhead({ reason })
      }
    }
  )

  const requireAhead = Effect.fn("SchemaViews.requireAhead")((request: ViewRequest, plan: Pick<ViewPlan, "shown">) =>
    Effect.flatMap(readPosition(run, request.from), (next) => requireReached(request, plan, next))
  )

  const publish: SchemaViews["Service"]["publish"] = Effect.fn("SchemaViews.publish")((request) =>
    transaction(
      SESSION_NAME,
      Effect.gen(function*() {
        yield* run(SET_LOCK_TIMEOUT)
        yield* run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`ampsync ${request.as}`])
        const planned = yield* plan(request)
        if (planned.missing.length > 0) {
          return yield* new ViewsAhead({
            reason: `table "${planned.missing[0]}" is not in schema "${request.from}" yet`
          })
        }
        if (planned.statements.length === 0) return planned
        // Before the locks: who waits for one may have taken a snapshot already, and sees the new schema as of that.
        const next = yield* readPosition(run, request.from)
        yield* run(`SET LOCAL statement_timeout TO ${limitMillis(planned.statements.length)}`)
        // One statement, so that the limit is one of all: a reader of the first view waits for the last one.
        yield* run(`DO ${textLiteral(`BEGIN ${planned.statements.map((statement) => `${statement};`).join(" ")} END`)}`)
        yield* run("SET LOCAL statement_timeout TO '2s'")
        // From here on nobody reads the views: what readers saw cannot get ahead any more.
        yield* requireReached(request, planned, next)
        return planned
      }),
      // Each statement has a snapshot of its own: the last one must see what readers saw until the views were locked.
      "ISOLATION LEVEL READ COMMITTED"
    )
  )

  const holders = Effect.fn("SchemaViews.holders")((schema: string) =>
    Effect.map(run<{ readonly pid: number }>(HOLDERS, [schema]), (rows) => rows.map(({ pid }) => pid))
  )

  return SchemaViews.of({ plan, requireAhead, publish, holders })
})

export const layer: Layer.Layer<SchemaViews, never, PgPool> = Layer.effect(SchemaViews, make)
