import { Effect, Fiber } from "effect"

/** Time that a stop grants to a transaction in flight. */
const COMMIT_GRACE = "2 seconds"

/** Lets `transaction` finish within the grace time when it is interrupted, and interrupts it after that. */
export const withCommitGrace = <A, E, R>(transaction: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.interruptible(transaction))
      return yield* restore(Fiber.join(fiber)).pipe(
        Effect.onInterrupt(() =>
          Fiber.await(fiber).pipe(
            Effect.interruptible,
            Effect.timeoutOption(COMMIT_GRACE),
            Effect.andThen(Fiber.interrupt(fiber))
          )
        )
      )
    })
  )
