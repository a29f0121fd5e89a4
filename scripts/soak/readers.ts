/** Readers of the health endpoints, as a dashboard, Prometheus and an open page are. */
import { Effect, type Scope } from "effect"
import { get } from "node:http"
import { ask } from "../../test/support/health.ts"

const POLL_MILLIS = 2_000
const PAGE_MILLIS = 20_000
/** Less than the ten in which every second has an event, so that pages come and go all the time. */
const AGAIN_MILLIS = 500

export interface Readers {
  readonly answers: () => number
  readonly events: () => number
}

/** Reads the events for `millis`, as one who opens the page and leaves again; gives how many came. */
const openPage = (address: string, millis: number, received: () => void) =>
  Effect.callback<void>((resume) => {
    const request = get(`http://${address}/events`, { agent: false }, (response) => {
      response.on("data", received).on("error", () => undefined)
    })
    request.on("error", () => undefined).on("close", () => resume(Effect.void))
    const timer = setTimeout(() => request.destroy(), millis)
    return Effect.sync(() => {
      clearTimeout(timer)
      request.destroy()
    })
  })

/** Starts readers that stay until the scope closes. */
export const startReaders = Effect.fnUntraced(function*(
  address: string
): Effect.fn.Return<Readers, never, Scope.Scope> {
  let answers = 0
  let events = 0
  const received = () => void (events += 1)
  const poll = Effect.forEach(
    ["/metrics", "/status", "/readyz", "/"],
    (path) => Effect.exit(Effect.tap(ask(address, path), () => Effect.sync(() => void (answers += 1)))),
    { discard: true }
  )
  const pageAgain = Effect.andThen(openPage(address, PAGE_MILLIS, received), Effect.sleep(AGAIN_MILLIS))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(poll, Effect.sleep(POLL_MILLIS))))
  yield* Effect.forkScoped(Effect.forever(pageAgain))
  // One that never leaves.
  yield* Effect.forkScoped(openPage(address, 2 ** 31 - 1, received))
  return { answers: () => answers, events: () => events }
})
