/** A reader of an event stream as a network sees one: bytes, as they come. */
import { Effect, type Scope } from "effect"
import { get, type IncomingMessage } from "node:http"
import { setTimeout } from "node:timers/promises"

export interface EventStream {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  /** Everything that has come. */
  readonly text: () => string
  /** The data of every event that has come, in order. */
  readonly events: () => ReadonlyArray<any>
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly leave: Effect.Effect<void>
  /** Settles when the server or this reader has closed it. */
  readonly closed: Effect.Effect<void>
  /** Waits, in real time, until `holds`. */
  readonly until: (holds: () => boolean) => Effect.Effect<void>
}

/** Opens it; it is left when the scope closes. */
export const openEvents = (address: string, path = "/events"): Effect.Effect<EventStream, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<IncomingMessage>((resume) => {
        get(`http://${address}${path}`, { agent: false }, (response) => resume(Effect.succeed(response)))
      }),
      (response) => Effect.sync(() => response.destroy())
    ),
    (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (piece: string) => text += piece).on("error", () => {})
      const closed = new Promise<void>((resolve) => response.on("close", resolve))
      return {
        status: response.statusCode!,
        headers: response.headers,
        text: () => text,
        events: () =>
          text.split("\n\n").slice(0, -1).filter((one) => one.startsWith("data: ")).map((one) =>
            JSON.parse(one.slice(6))
          ),
        pause: Effect.sync(() => void response.pause()),
        resume: Effect.sync(() => void response.resume()),
        leave: Effect.sync(() => void response.destroy()),
        closed: Effect.promise(() => closed),
        until: (holds) =>
          Effect.promise(async () => {
            const deadline = performance.now() + 60_000
            while (!holds()) {
              if (performance.now() > deadline) {
                throw new Error(`not within a minute; it has sent:\n${text.slice(-2_000)}`)
              }
              await setTimeout(10)
            }
          })
      }
    }
  )
