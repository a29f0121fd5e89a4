/** The queue between the stream of a table and its writer, bounded by bytes. */
import { Clock, Effect, type Exit, Latch, type Scope, Stream } from "effect"
import { elapsedMillisOf } from "../../domain/elapsed.ts"

/** Resolution of the timed waits. */
const TICK = "10 millis"

/** A frame without rows costs some memory as well. */
const MIN_FRAME_BYTES = 256

/**
 * Frames that were received and are not written yet. One may always wait; more than one only up to `limitBytes`, so that a
 * table that waits for its permit holds little.
 */
export interface ReadAhead<A, E> {
  /** The event that is next; undefined where none waits. */
  readonly peek: () => A | undefined
  /** Removes the event that is next, and its frame where it was the last of it. */
  readonly drop: () => void
  /** The stream came to its end and every event was dropped. */
  readonly isEnded: () => boolean
  readonly isEmpty: () => boolean
  /** At most one frame waits. */
  readonly isShort: () => boolean
  readonly limit: (bytes: number) => void
  /** Waits until an event is there, or the stream came to its end. */
  readonly arrival: Effect.Effect<void>
  /** Whether `arrival` happens within a time. */
  readonly arrivesWithin: (millis: number) => Effect.Effect<boolean>
  /** Waits until at least so many bytes wait, or the stream came to its end. */
  readonly backlog: (bytes: number) => Effect.Effect<void>
  /** How the stream ended. */
  readonly end: Effect.Effect<void, E>
}

interface Waiting<A> {
  readonly events: ReadonlyArray<A>
  readonly bytes: number
}

/** Reads `events` from now on, for as long as the scope is open. Each array the stream emits is one frame. */
export const makeReadAhead = Effect.fnUntraced(function*<A, E, R>(
  events: Stream.Stream<A, E, R>,
  sizeOf: (event: A) => number
): Effect.fn.Return<ReadAhead<A, E>, never, R | Scope.Scope> {
  const frames: Array<Waiting<A>> = []
  const waiters = new Set<() => void>()
  let [position, waitingBytes, limitBytes] = [0, 0, 0]
  let exit: Exit.Exit<void, E> | undefined
  let timed = 0
  const ticking = Latch.makeUnsafe(false)
  const clock = yield* Clock.Clock

  const changed = () => {
    for (const waiter of waiters) waiter()
  }
  const until = (isReached: () => boolean): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const check = () => {
        if (!isReached()) return
        waiters.delete(check)
        resume(Effect.void)
      }
      waiters.add(check)
      check()
      return Effect.sync(() => waiters.delete(check))
    })
  const mayRead = () => frames.length === 0 || waitingBytes < limitBytes

  // One timer for all waits at a time: a fiber and a timer for each would cost more than the rows of a short range.
  yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    if (timed === 0) ticking.closeUnsafe()
    yield* ticking.await
    yield* Effect.sleep(TICK)
    changed()
  })))

  const offer = (frame: ReadonlyArray<A>) =>
    Effect.suspend(() => {
      const bytes = frame.reduce((sum, event) => sum + sizeOf(event), MIN_FRAME_BYTES)
      frames.push({ events: frame, bytes })
      waitingBytes += bytes
      changed()
      return mayRead() ? Effect.void : until(mayRead)
    })

  yield* Effect.forkScoped(
    Stream.runForEachArray(events, offer).pipe(
      Effect.onExit((ended) =>
        Effect.sync(() => {
          exit = ended
          changed()
        })
      )
    )
  )

  const hasArrived = () => frames.length > 0 || exit !== undefined
  const arrival = until(hasArrived)
  return {
    peek: () => frames[0]?.events[position],
    drop: () => {
      position += 1
      const frame = frames[0]
      if (frame === undefined || position < frame.events.length) return
      frames.shift()
      position = 0
      waitingBytes -= frame.bytes
      changed()
    },
    isEnded: () => frames.length === 0 && exit !== undefined,
    isEmpty: () => frames.length === 0,
    isShort: () => frames.length <= 1,
    limit: (bytes) => {
      limitBytes = bytes
      changed()
    },
    arrival,
    arrivesWithin: (millis) => {
      if (hasArrived()) return Effect.succeed(true)
      const deadline = elapsedMillisOf(clock) + millis
      timed += 1
      ticking.openUnsafe()
      return until(() => hasArrived() || elapsedMillisOf(clock) >= deadline).pipe(
        Effect.ensuring(Effect.sync(() => void (timed -= 1))),
        Effect.map(hasArrived)
      )
    },
    backlog: (bytes) => until(() => waitingBytes >= bytes || exit !== undefined),
    end: Effect.suspend(() => exit ?? Effect.die(new Error("the stream has not ended")))
  }
})
