import { Context, Duration, Effect, Exit, Layer, Option } from "effect"
import { ConnectionConfig, SyncConfig } from "../../services/Config.ts"

/** Whose answer work can wait for, and what to call it: with its address, and the variable that has it. */
const names = {
  "admin API": Effect.map(SyncConfig, ({ adminAddr }) => `the Admin API at ${adminAddr.origin} (AMP_ADMIN_API_ADDR)`),
  "config file": Effect.succeed("the config file (DATASET_MANIFEST)"),
  // A host program may have connections of its own, whose address is not known here.
  database: Effect.map(
    Effect.serviceOption(ConnectionConfig),
    Option.match({
      onNone: () => "the database",
      onSome: ({ database: { host, port } }) => `the database at ${host}:${port} (DATABASE_URL, DATABASE_HOST)`
    })
  ),
  flight: Effect.map(SyncConfig, ({ flightAddr }) => `Arrow Flight at ${flightAddr.origin} (AMP_FLIGHT_ADDR)`)
}

type Answering = keyof typeof names

/** What the name of one needs. */
type NameOf<W extends Answering> = Effect.Services<(typeof names)[W]>

/** What was asked and is not answered yet. */
const Unanswered = Context.Reference<Set<{ readonly name: string }> | undefined>("ampsync/Unanswered", {
  defaultValue: () => undefined
})

/** Notes for the time limit that is around it, if there is one, who is waited for while `question` runs. */
export const answerOf =
  <W extends Answering>(whom: W) => <A, E, R>(question: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | NameOf<W>> =>
    Effect.gen(function*() {
      const unanswered = yield* Unanswered
      if (unanswered === undefined) return yield* question
      const asked = { name: yield* names[whom] as Effect.Effect<string, never, NameOf<W>> }
      unanswered.add(asked)
      // What the time limit interrupts is what was not answered.
      return yield* Effect.onExit(
        question,
        (exit) => Effect.sync(() => Exit.hasInterrupts(exit) || unanswered.delete(asked))
      )
    })

/** As `answerOf`, for all that a layer does before it is there. */
export const layerAnsweredBy = <W extends Answering, A, E, R>(
  whom: W,
  layer: Layer.Layer<A, E, R>
): Layer.Layer<A, E, R | NameOf<W>> => Layer.effectContext(answerOf(whom)(Layer.build(layer)))

/** Fails when `work` has not ended after `timeout`; `because` is a reason that names who did not answer, and what to do. */
export const inTime =
  <E2>(timeout: Duration.Duration, because: (reason: string) => E2) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R> =>
    Effect.suspend(() => {
      const unanswered = new Set<{ readonly name: string }>()
      return work.pipe(
        Effect.provideService(Unanswered, unanswered),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => {
            const names = new Set([...unanswered].map(({ name }) => name))
            const from = names.size === 0 ? "" : ` from ${[...names].join(" and ")}`
            return Effect.fail(
              because(`no answer within ${Duration.format(timeout)}${from}; if it is only slow, raise --timeout`)
            )
          }
        })
      )
    })
