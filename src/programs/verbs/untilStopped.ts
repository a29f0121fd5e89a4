/** Runs a verb until it ends or a signal stops it. */
import { Data, Effect, Fiber } from "effect"
import * as log from "../../domain/logLines.ts"

/** Runs `work` until it ends, or until `stop` gives the name of a signal, which interrupts it; succeeds with that name. */
export const untilStopped = Effect.fnUntraced(function*<A, E, R>(
  work: Effect.Effect<A, E, R>,
  stop: Effect.Effect<string>
) {
  const fiber = yield* Effect.forkChild(work)
  const signal = yield* Effect.raceFirst(Effect.as(Fiber.await(fiber), undefined), stop)
  if (signal === undefined) return yield* Effect.as(Fiber.join(fiber), undefined)
  yield* Effect.logInfo(log.signalReceived(signal))
  yield* Fiber.interrupt(fiber)
  yield* Effect.logInfo(log.shutdownComplete)
  return signal
})

/** A signal stopped work before it had a result; what happened is printed already. */
export class Stopped extends Data.TaggedError("Stopped") {
  readonly exitCode = 1
  override get message() {
    return ""
  }
}

/** As `untilStopped` for work that has a result: a stop fails. */
export const answerUnlessStopped = <A, E, R>(work: Effect.Effect<A, E, R>, stop: Effect.Effect<string>) =>
  Effect.flatMap(untilStopped(work, stop), (signal) => signal === undefined ? Effect.void : new Stopped())
