/** Runs checks that depend on each other. */
import { Cause, type Context, Deferred, type Duration, Effect, Semaphore } from "effect"
import { type Check, type Finding, problem, skipped } from "../../../domain/health/Finding.ts"
import { withTimeLimit } from "../../timeLimit.ts"

/** A check to run. */
export interface CheckSpec<R = never> extends Pick<Check, "id" | "title"> {
  /** The ids of checks that have to find no problem first; those that are not run at all are none. */
  readonly needs: ReadonlyArray<string>
  /** A failure is a problem whose message has what to do. */
  readonly run: Effect.Effect<Finding, { readonly message: string }, R>
}

/** The check with what it needs. */
export const provideCheck = <R>(context: Context.Context<R>) => (check: CheckSpec<R>): CheckSpec => ({
  ...check,
  run: Effect.provideContext(check.run, context)
})

export interface RunOptions {
  /** Of each check. */
  readonly timeout: Duration.Duration
  /** Checks that were run before. */
  readonly earlier: ReadonlyArray<Check>
  /** Called for each check, in the order of the list. */
  readonly onCheck: (check: Check) => Effect.Effect<void>
}

/** A query of each table is a connection of its own, and a config may have hundreds. */
const AT_ONCE = 8

/** Runs the checks at the same time, each once those it needs are done; one that fails or hangs stops none that needs it not. */
export const runChecks = Effect.fnUntraced(function*(
  specs: ReadonlyArray<CheckSpec>,
  { earlier, onCheck, timeout }: RunOptions
) {
  const done = new Map<string, Deferred.Deferred<Check>>()
  for (const { id } of specs) done.set(id, yield* Deferred.make<Check>())

  // The time of a check begins when it does, not while others are before it.
  const permits = yield* Semaphore.make(AT_ONCE)

  const outcomeOf = (id: string): Effect.Effect<Check | undefined> => {
    const running = done.get(id)
    return running === undefined ? Effect.succeed(earlier.find((check) => check.id === id)) : Deferred.await(running)
  }

  const runOne = Effect.fnUntraced(function*({ id, needs, run, title }: CheckSpec) {
    const needed = yield* Effect.forEach(needs, outcomeOf)
    const missing = needed.filter((check) => check?.outcome === "problem" || check?.outcome === "skipped")
    const finding = missing.length > 0
      ? skipped(`needs ${missing.map((check) => `"${check!.title}"`).join(" and ")}`)
      : yield* permits.withPermit(bounded(run, timeout))
    yield* Deferred.succeed(done.get(id)!, { id, title, ...finding })
  })

  yield* Effect.forkScoped(Effect.forEach(specs, runOne, { concurrency: "unbounded", discard: true }))
  return yield* Effect.forEach(specs, ({ id }) => Effect.tap(Deferred.await(done.get(id)!), onCheck))
})

/** What to do about a failure that no check expects. */
const adviceOn = (message: string): string =>
  /SQLSTATE 42501\b/.test(message)
    ? "give the role this right: node dist/main.js grants prints the SQL"
    : "remove the cause that the message names"

const bounded = (run: CheckSpec["run"], timeout: Duration.Duration): Effect.Effect<Finding> =>
  run.pipe(
    withTimeLimit(timeout, (reason) => ({ message: reason })),
    Effect.catch(({ message }) => Effect.succeed(problem(message, adviceOn(message)))),
    Effect.catchCause((cause) =>
      Effect.succeed(
        // What it shares with another check may end with that one's time.
        Cause.hasInterruptsOnly(cause)
          ? problem("it was interrupted by another check", "run doctor again, with a longer --timeout")
          : problem(`internal error: ${Cause.pretty(cause)}`, "please report it")
      )
    )
  )
