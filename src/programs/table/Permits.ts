/** The permits of the chunks in flight, and how many of them are in use. */
import { Effect, Semaphore } from "effect"
import type { PermitsInUse } from "../../services/SyncStatus.ts"

export interface Permits extends PermitsInUse {
  /** Runs an effect with one of the permits, once one is free. */
  readonly withPermit: Semaphore.Semaphore["withPermit"]
}

export const makePermits = Effect.fnUntraced(function*(total: number): Effect.fn.Return<Permits> {
  const semaphore = yield* Semaphore.make(total)
  let inUse = 0
  return {
    total,
    inUse: () => inUse,
    withPermit: (effect) =>
      semaphore.withPermit(
        Effect.acquireUseRelease(
          Effect.sync(() => inUse += 1),
          () => effect,
          () => Effect.sync(() => inUse -= 1)
        )
      )
  }
})
