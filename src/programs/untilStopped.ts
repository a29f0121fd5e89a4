import { Effect, Fiber } from "effect"
import * as log from "./logLines.ts"

/** Runs `work` until it ends or `stop` gives the name of a signal, which interrupts it: a success as well, and the answer. */
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
