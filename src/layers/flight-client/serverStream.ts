/** A server-streaming call of grpc-js as a pull-based stream. */
import * as grpc from "@grpc/grpc-js"
import { Cause, Effect, type Scope, Stream } from "effect"
import type { FlightError } from "../../services/FlightClient.ts"

/**
 * Emits one message per pull, so that a slow consumer slows the server.
 *
 * Closing the scope cancels the call; grpc-js does not do so by itself when its stream is dropped. `ended` maps an error and the
 * content type of the response to a failure; the stream ends without one where that is undefined.
 */
export const serverStream = <A>(
  open: () => grpc.ClientReadableStream<Buffer>,
  decode: (bytes: Buffer) => Effect.Effect<A, FlightError>,
  ended: (error: grpc.ServiceError, contentType: string | undefined) => FlightError | undefined
): Effect.Effect<Stream.Stream<A, FlightError>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const call = open() // grpc-js reads 16 messages ahead and has no option for it; at 2 MiB or more each, one is enough.
        ;(call as unknown as { _readableState: { highWaterMark: number } })._readableState.highWaterMark = 1
        const state: CallState = { call, ended: false, error: undefined, wake: undefined }
        const contentType = contentTypeOf(call)
        call.on("readable", () => state.wake?.())
        // Only the status has the outcome of a stream: "end" is emitted after a failure as well.
        call.on("status", ({ code }: grpc.StatusObject) => {
          if (code === grpc.status.OK) state.ended = true
          state.wake?.()
        })
        call.on("error", (error: grpc.ServiceError) => {
          state.error = ended(error, contentType())
          state.ended = state.error === undefined
          state.wake?.()
        })
        return state
      }),
      ({ call }) => Effect.sync(() => call.cancel())
    ),
    (state) => Stream.fromPull(Effect.succeed(pull(state, decode)))
  )

/** Returns a function that gives the content type of the response to a call, once its headers have arrived. */
export const contentTypeOf = (
  call: { readonly on: (event: "metadata", listener: (metadata: grpc.Metadata) => void) => unknown }
): () => string | undefined => {
  let contentType: string | undefined
  call.on("metadata", (metadata) => contentType = metadata.get("content-type")[0]?.toString())
  return () => contentType
}

interface CallState {
  readonly call: grpc.ClientReadableStream<Buffer>
  ended: boolean
  error: FlightError | undefined
  wake: (() => void) | undefined
}

const pull = <A>(
  state: CallState,
  decode: (bytes: Buffer) => Effect.Effect<A, FlightError>
): Effect.Effect<[A], FlightError | Cause.Done> =>
  Effect.callback((resume) => {
    const attempt = (): void => {
      const bytes = state.call.read() as Buffer | null
      if (bytes !== null) return finish(Effect.map(decode(bytes), (message) => [message]))
      if (state.error !== undefined) return finish(Effect.fail(state.error))
      if (state.ended) return finish(Cause.done())
    }
    const finish = (effect: Effect.Effect<[A], FlightError | Cause.Done>): void => {
      state.wake = undefined
      resume(effect)
    }
    state.wake = attempt
    attempt()
    return Effect.sync(() => {
      state.wake = undefined
    })
  })
