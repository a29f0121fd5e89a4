/** The status as server-sent events: all of it at the connect, and again whenever it has changed, once a second at most. */
import { Effect, Stream } from "effect"
import { Sse } from "effect/encoding"
import { cachedFor } from "../../domain/elapsed.ts"
import type { Status } from "../../services/HealthApi.ts"

/** A reader that hears nothing for longer than this may take the connection for lost. */
const KEEP_ALIVE_SECONDS = 5

const keepAlive = ": keep-alive\n\n"

interface Moment {
  /** Equal for states between which there is nothing to report: an age grows by itself. */
  readonly key: string
  readonly event: string
}

/**
 * The body of the answer for one reader. All readers share one rendering a second.
 *
 * Nothing is made before the reader has taken what came before it, so that a slow one costs the memory of one event and gets the
 * newest state next.
 */
export const makeEvents = Effect.fnUntraced(function*(report: Effect.Effect<Status>) {
  const latest = yield* cachedFor(Effect.map(report, momentOf), "900 millis")
  return Stream.tick("1 second").pipe(
    Stream.mapEffect(() => latest),
    Stream.mapAccum(() => ({ key: "", quietSeconds: 0 }), ({ key, quietSeconds }, moment: Moment) => {
      if (moment.key !== key) return [{ key: moment.key, quietSeconds: 0 }, [moment.event]]
      const isDue = quietSeconds + 1 >= KEEP_ALIVE_SECONDS
      return [{ key, quietSeconds: isDue ? 0 : quietSeconds + 1 }, isDue ? [keepAlive] : []]
    }),
    Stream.encodeText
  )
})

const momentOf = (status: Status): Moment => ({
  key: JSON.stringify(status, (name, value: unknown) => name === "block_age_seconds" ? undefined : value),
  event: Sse.encoder.write({ _tag: "Event", event: "message", id: undefined, data: JSON.stringify(status) })
})
