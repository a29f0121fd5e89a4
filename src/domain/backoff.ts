import { type Duration, Schedule } from "effect"

/** Waits `first`, then twice as long after each failure, never more than `most`; jittered, so that many do not retry at once. */
export const backoff = (first: Duration.Input, most: Duration.Input): Schedule.Schedule<Duration.Duration> =>
  Schedule.min([Schedule.exponential(first), Schedule.spaced(most)]).pipe(Schedule.jittered)
