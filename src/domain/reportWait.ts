/** Logs what an unanswered request waits for, long before its time limit ends it. */
import { Duration, Effect, Fiber } from "effect"
import { elapsedMillis } from "./elapsed.ts"
import * as log from "./logLines.ts"
import { inTarget, type LogTarget } from "./logTargets.ts"

/** What is not answered by then is logged. */
const FIRST = Duration.seconds(2)
/** Between two lines of one reporter, however many requests wait. */
const INTERVAL = Duration.minutes(1)

/** What a request waits for. */
export interface Wait {
  /** With the address and the variable that names it: `Arrow Flight (at http://host, which AMP_FLIGHT_ADDR names)`. */
  readonly for: string
  /** When the request fails by itself; undefined where it waits without end. */
  readonly limit?: Duration.Duration | undefined
  /** Not worth a warning: it may be what is to be expected. */
  readonly isNormal?: boolean
}

export interface WaitReporter {
  /** Runs a request, and logs a line when it is not answered within two seconds, then once a minute. */
  <A, E, R>(wait: () => Wait, request: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  /** As above, for work that takes something and goes on: it runs `answered` as soon as it has what it waits for. */
  readonly until: <A, E, R>(
    wait: () => Wait,
    work: (answered: Effect.Effect<void>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
}

/** A reporter for requests to one server: those that wait at the same time share its lines. */
export const makeWaitReporter = (target: LogTarget): WaitReporter => {
  let lastMillis = -Infinity
  const line = Effect.fnUntraced(function*(wait: () => Wait, sinceMillis: number) {
    const now = yield* elapsedMillis
    if (now - lastMillis < Duration.toMillis(INTERVAL)) return
    lastMillis = now
    const { for: what, isNormal, limit } = wait()
    yield* (isNormal === true ? Effect.logInfo : Effect.logWarning)(log.stillWaiting(what, now - sinceMillis, limit))
  })
  const lines = (wait: () => Wait) =>
    Effect.flatMap(elapsedMillis, (since) =>
      Effect.andThen(
        Effect.delay(line(wait, since), FIRST),
        Effect.forever(Effect.delay(line(wait, since), INTERVAL))
      )).pipe(inTarget(target), Effect.interruptible)
  const until: WaitReporter["until"] = (wait, work) =>
    Effect.acquireUseRelease(
      Effect.forkChild(lines(wait)),
      (fiber) => work(Fiber.interrupt(fiber)),
      Fiber.interrupt
    )
  return Object.assign(
    <A, E, R>(wait: () => Wait, request: Effect.Effect<A, E, R>) => until(wait, () => request),
    { until }
  )
}
