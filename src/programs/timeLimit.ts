/** A time limit whose failure names the services that have not answered. */
import { Cause, Context, Duration, Effect, Exit, Layer, Option } from "effect"
import { makeWaitReporter, type WaitReporter } from "../domain/reportWait.ts"
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
      onSome: ({ database: { host, port }, origins }) => `the database at ${host}:${port} (${origins.host})`
    })
  ),
  flight: Effect.map(SyncConfig, ({ flightAddr }) => `Arrow Flight at ${flightAddr.origin} (AMP_FLIGHT_ADDR)`)
}

type Service = keyof typeof names

/** What a message calls a service: its address, and the variables that name it. */
export const nameOf = <S extends Service>(service: S): Effect.Effect<string, never, NameOf<S>> =>
  names[service] as Effect.Effect<string, never, NameOf<S>>

/** What the name of a service is made from. */
type NameOf<S extends Service> = Effect.Services<(typeof names)[S]>

/** The names of services with requests that are not answered yet, or whose last request failed, which will be tried again. */
interface Pending {
  /** Logs statements that are not answered; undefined where none is logged. */
  readonly reportWait: WaitReporter | undefined
  readonly requests: Set<{ readonly name: string }>
  readonly failed: Map<string, string>
}

/** Under the current time limit; undefined where there is none. */
const PendingRequests = Context.Reference<Pending | undefined>("ampsync/PendingRequests", {
  defaultValue: () => undefined
})

/** Registers `request` with the time limit around it, if there is one, as waiting for `service`. */
const track =
  <S extends Service>(service: S) => <A, E, R>(request: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | NameOf<S>> =>
    Effect.gen(function*() {
      const pending = yield* PendingRequests
      if (pending === undefined) return yield* request
      const entry = { name: yield* nameOf(service) }
      pending.requests.add(entry)
      // What the time limit interrupts is what was not answered.
      return yield* Effect.onExit(request, (exit) =>
        Effect.sync(() => {
          if (Exit.hasInterrupts(exit)) return
          pending.requests.delete(entry)
          if (Exit.isSuccess(exit)) pending.failed.delete(entry.name)
          else pending.failed.set(entry.name, messageOf(exit.cause))
        }))
    })

const messageOf = (cause: Cause.Cause<unknown>): string =>
  Cause.prettyErrors(cause)[0]?.message.split("\n")[0] ?? "unknown"

/** Those that did not answer or were about to be asked again, each with why it failed last, where it did. */
const fromWhom = ({ failed, requests }: Pending): string => {
  const all = [...new Set([...[...requests].map(({ name }) => name), ...failed.keys()])].map((name) => {
    const reason = failed.get(name)
    return reason === undefined ? name : `${name}: ${reason}`
  })
  return all.length === 0 ? "" : ` from ${all.join(" and ")}`
}

/**
 * Registers `request` with the time limit around it, if there is one, as waiting for `service`. Statements that are not answered
 * are logged as well: other requests, and those of a sync, are by what sends them.
 */
export const trackPending =
  <S extends Service>(service: S) => <A, E, R>(request: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | NameOf<S>> =>
    track(service)(
      service !== "database" ? request : Effect.gen(function*() {
        const pending = yield* PendingRequests
        if (pending?.reportWait === undefined) return yield* request
        const name = yield* nameOf("database")
        return yield* pending.reportWait(() => ({ for: `an answer of ${name}` }), request)
      })
    )

/** As `trackPending`, for the building of a layer. */
export const trackPendingLayer = <S extends Service, A, E, R>(
  service: S,
  layer: Layer.Layer<A, E, R>
): Layer.Layer<A, E, R | NameOf<S>> => Layer.effectContext(track(service)(Layer.build(layer)))

/** Fails when `work` has not ended after `timeout`; the reason given to `onTimeout` names the services that did not answer. */
export const withTimeLimit = <E2>(timeout: Duration.Duration, onTimeout: (reason: string) => E2) =>
  limited(
    timeout,
    (reason) => onTimeout(`${reason}; if it is only slow, raise --timeout`),
    () => makeWaitReporter("ampsync")
  )

/** As `withTimeLimit`, for a limit that nobody can set; statements that are not answered are not logged meanwhile. */
export const withAnswerLimit = <E2>(timeout: Duration.Duration, onTimeout: (reason: string) => E2) =>
  limited(timeout, onTimeout, () => undefined)

const limited =
  <E2>(timeout: Duration.Duration, onTimeout: (reason: string) => E2, reporter: () => WaitReporter | undefined) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R> =>
    Effect.suspend(() => {
      const pending: Pending = { reportWait: reporter(), requests: new Set(), failed: new Map() }
      return work.pipe(
        Effect.provideService(PendingRequests, pending),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => Effect.fail(onTimeout(`no answer within ${Duration.format(timeout)}${fromWhom(pending)}`))
        })
      )
    })
