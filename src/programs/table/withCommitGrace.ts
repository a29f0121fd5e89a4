import { Effect, Fiber } from "effect"

/** What a stop grants a transaction in flight. */
const LAST_COMMIT = "2 seconds"

/** A stop lets the transaction in flight commit if it can within a moment, and rolls it back otherwise. */
export const withCommitGrace = <A, E, R>(transaction: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.interruptible(transaction))
      return yield* restore(Fiber.join(fiber)).pipe(
        Effect.onInterrupt(() =>
          Fiber.await(fiber).pipe(
            Effect.interruptible,
            Effect.timeoutOption(LAST_COMMIT),
            Effect.andThen(Fiber.interrupt(fiber))
          )
        )
      )
    })
  )
