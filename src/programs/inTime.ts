import { Context, Duration, Effect, Exit, Layer } from "effect"
import { AmpsyncConfig, type AmpsyncSettings } from "../services/Config.ts"

/** Whose answer work can wait for. */
type Answering = "admin API" | "config file" | "database" | "flight"

/** What was asked and is not answered yet. */
const Unanswered = Context.Reference<Set<{ readonly whom: Answering }> | undefined>("ampsync/Unanswered", {
  defaultValue: () => undefined
})

/** Notes for the time limit that is around it, if there is one, who is waited for while `question` runs. */
export const answerOf = (whom: Answering) => <A, E, R>(question: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Unanswered, (unanswered) => {
    if (unanswered === undefined) return question
    const asked = { whom }
    unanswered.add(asked)
    // What the time limit interrupts is what was not answered.
    return Effect.onExit(question, (exit) => Effect.sync(() => Exit.hasInterrupts(exit) || unanswered.delete(asked)))
  })

/** As `answerOf`, for all that a layer does before it is there. */
export const layerAnsweredBy = <A, E, R>(whom: Answering, layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.effectContext(answerOf(whom)(Layer.build(layer)))

/** Fails when `work` has not ended after `timeout`; `because` is a reason that names who did not answer, and what to do. */
export const inTime =
  <E2>(timeout: Duration.Duration, because: (reason: string) => E2) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R | AmpsyncConfig> =>
    Effect.gen(function*() {
      const settings = yield* AmpsyncConfig
      const unanswered = new Set<{ readonly whom: Answering }>()
      return yield* work.pipe(
        Effect.provideService(Unanswered, unanswered),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => {
            const whom = new Set([...unanswered].map(({ whom }) => nameOf(settings, whom)))
            const from = whom.size === 0 ? "" : ` from ${[...whom].join(" and ")}`
            return Effect.fail(
              because(`no answer within ${Duration.format(timeout)}${from}; if it is only slow, raise --timeout`)
            )
          }
        })
      )
    })

const nameOf = ({ adminAddr, database, flightAddr }: AmpsyncSettings, whom: Answering): string => {
  switch (whom) {
    case "admin API":
      return `the Admin API at ${adminAddr.origin} (AMP_ADMIN_API_ADDR)`
    case "config file":
      return "the config file (DATASET_MANIFEST)"
    case "database":
      return `the database at ${database.host}:${database.port} (DATABASE_URL, DATABASE_HOST)`
    case "flight":
      return `Arrow Flight at ${flightAddr.origin} (AMP_FLIGHT_ADDR)`
  }
}
