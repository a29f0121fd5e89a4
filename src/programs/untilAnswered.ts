/** For verbs that run once: a request to a server that may yet come. */
import { Effect, Schedule } from "effect"
import { backoff } from "../domain/backoff.ts"
import * as log from "../domain/logLines.ts"

/** The same as at a start. */
const retrySchedule = backoff("1 second", "30 seconds")

/** Tries again for as long as nothing answers, and logs why; the time limit around it ends that. */
export const untilAnswered = <A, E extends { readonly message: string }, R>(
  request: Effect.Effect<A, E, R>,
  isUnanswered: (error: E) => boolean
): Effect.Effect<A, E, R> =>
  Effect.retry(request, ($) =>
    $(retrySchedule).pipe(
      Schedule.while(({ input }) => isUnanswered(input)),
      Schedule.tap(({ duration, input }) => Effect.logWarning(log.tryingAgain(input.message, duration)))
    ))
