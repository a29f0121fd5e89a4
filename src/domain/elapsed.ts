/** Spans of time. The clock of a host may be set while a process runs, so none is the difference between two times of day. */
import { Clock, type Duration, Effect } from "effect"

const NANOS_PER_MILLI = 1_000_000n

/** As `elapsedMillis`, of a clock at hand. */
export const elapsedMillisOf = (clock: Clock.Clock): number =>
  Number(clock.monotonicTimeNanosUnsafe() / NANOS_PER_MILLI)

/** Whole milliseconds since a moment that is the same for all of a process. */
export const elapsedMillis: Effect.Effect<number> = Clock.clockWith((clock) =>
  Effect.sync(() => elapsedMillisOf(clock))
)

/** As `Effect.cachedWithTTL`, whose values live longer where the clock is set back, and die where it is set forward. */
export const cachedFor = Effect.fnUntraced(function*<A, E, R>(
  self: Effect.Effect<A, E, R>,
  lifetime: Duration.Input
): Effect.fn.Return<Effect.Effect<A, E, R>> {
  const clock = yield* Clock.Clock
  const cached = yield* Effect.cachedWithTTL(Effect.provideService(self, Clock.Clock, clock), lifetime)
  return Effect.provideService(cached, Clock.Clock, withElapsedMillis(clock))
})

const withElapsedMillis = (clock: Clock.Clock): Clock.Clock => ({
  currentTimeMillisUnsafe: () => elapsedMillisOf(clock),
  currentTimeMillis: elapsedMillis,
  currentTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  currentTimeNanos: clock.monotonicTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep: (duration) => clock.sleep(duration)
})
