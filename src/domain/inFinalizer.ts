import { type Duration, Effect } from "effect"

/** Runs an effect in a finalizer, for `limit` at most; how it ends does not matter. */
export const inFinalizer =
  (limit: Duration.Input) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> =>
    effect.pipe(
      // A finalizer is not interruptible, so that the time limit could not end the wait.
      Effect.interruptible,
      Effect.timeoutOption(limit),
      Effect.ignore
    )
