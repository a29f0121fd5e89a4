/**
 * An Effect app with a sync inside: Ampsync's layer beside a layer of the app's own, which prints how far each table is.
 *
 * Settings are the environment variables of docs/configuration.md.
 */
import { NodeRuntime } from "@effect/platform-node"
import { lagBlocks, layer as ampsync, SyncStatus } from "ampsync"
import { Console, Context, Effect, Layer, Schedule, Stream } from "effect"

/** The app's own service: what it does with the news. */
class Announcer extends Context.Service<Announcer, {
  readonly announce: (sentence: string) => Effect.Effect<void>
}>()("embed-in-effect-app/Announcer") {
  static readonly layer = Layer.succeed(Announcer, { announce: (sentence) => Console.log(sentence) })
}

/** A layer that needs a service of Ampsync and one of the app, and runs for as long as both live. */
const reporter = Layer.effectDiscard(
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const status = yield* SyncStatus
    // Every commit is one of `status.changes`; reading the status twice a second is enough, and misses no last state.
    yield* Stream.fromEffectSchedule(status.get, Schedule.spaced("500 millis")).pipe(
      Stream.changes,
      Stream.runForEach((tables) =>
        Effect.forEach(
          tables.values(),
          (table) =>
            announcer.announce(
              `${table.table}: ${table.rows} rows up to block ${table.lastBlock ?? table.watermark ?? "-"}, lag ${
                lagBlocks(table) ?? "unknown"
              }, ${table.phase}`
            ),
          { discard: true }
        )
      ),
      Effect.forkScoped
    )
  })
)

const app = reporter.pipe(Layer.provide(Layer.merge(Announcer.layer, ampsync)))

// A stop closes the layers in reverse order: the reporter first, then the sync, which finishes the commit in flight.
NodeRuntime.runMain(Layer.launch(app))
