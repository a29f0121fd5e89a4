/** A time limit whose failure names the services that have not answered. */
import { Context, Duration, Effect, Exit, Layer, Option } from "effect"
import { ConnectionConfig, SyncConfig } from "../services/Config.ts"

/** The services that work can wait for, by the name in messages: with the address, and the variable that sets it. */
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

type Service = keyof typeof names

/** What the name of a service is made from. */
type NameOf<S extends Service> = Effect.Services<(typeof names)[S]>

/** The requests under the current time limit that are not answered yet; undefined where there is no limit. */
const PendingRequests = Context.Reference<Set<{ readonly name: string }> | undefined>("ampsync/PendingRequests", {
  defaultValue: () => undefined
})

/** Registers `request` with the time limit around it, if there is one, as waiting for `service`. */
export const trackPending =
  <S extends Service>(service: S) => <A, E, R>(request: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | NameOf<S>> =>
    Effect.gen(function*() {
      const pending = yield* PendingRequests
      if (pending === undefined) return yield* request
      const entry = { name: yield* names[service] as Effect.Effect<string, never, NameOf<S>> }
      pending.add(entry)
      // What the time limit interrupts is what was not answered.
      return yield* Effect.onExit(
        request,
        (exit) => Effect.sync(() => Exit.hasInterrupts(exit) || pending.delete(entry))
      )
    })

/** As `trackPending`, for the building of a layer. */
export const trackPendingLayer = <S extends Service, A, E, R>(
  service: S,
  layer: Layer.Layer<A, E, R>
): Layer.Layer<A, E, R | NameOf<S>> => Layer.effectContext(trackPending(service)(Layer.build(layer)))

/** Fails when `work` has not ended after `timeout`; the reason given to `onTimeout` names the services that did not answer. */
export const withTimeLimit =
  <E2>(timeout: Duration.Duration, onTimeout: (reason: string) => E2) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R> =>
    Effect.suspend(() => {
      const pending = new Set<{ readonly name: string }>()
      return work.pipe(
        Effect.provideService(PendingRequests, pending),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => {
            const names = new Set([...pending].map(({ name }) => name))
            const from = names.size === 0 ? "" : ` from ${[...names].join(" and ")}`
            return Effect.fail(
              onTimeout(`no answer within ${Duration.format(timeout)}${from}; if it is only slow, raise --timeout`)
            )
          }
        })
      )
    })
