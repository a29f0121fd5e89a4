/** Where the time of the writer of a table goes. */
import type { Clock } from "effect"
import type { StageTimes } from "../../domain/StatusEvent.ts"

/**
 * - `source`: nothing is there to write, or the open chunk waits for more; the stream has not delivered it.
 * - `encode`: rows become COPY data.
 * - `storage`: the writer waits for the build of its keys, a permit, a connection, a deletion, a socket that takes no more, or
 *   the answer to a COMMIT.
 */
export type Stage = keyof typeof noNanos

const noNanos = { source: 0n, encode: 0n, storage: 0n }

const NANOS_PER_MILLI = 1e6

/**
 * Adds up the time per stage of one attempt, by the monotonic clock. The writer is in one stage at a time, or in none: the sum
 * is never more than the time that passed. Costs one reading of the clock per change, of which there are a few per buffer.
 */
export class StageClock {
  readonly #clock: Clock.Clock
  #nanos = { ...noNanos }
  #taken = noNanos
  #stage: Stage | undefined
  #since = 0n

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** Ends the present stage and begins another; returns the time, in monotonic nanoseconds. */
  enter(stage: Stage | undefined): bigint {
    const now = this.#clock.monotonicTimeNanosUnsafe()
    if (this.#stage !== undefined) this.#nanos[this.#stage] += now - this.#since
    this.#stage = stage
    this.#since = now
    return now
  }

  /** Ends the present stage; returns the time. */
  leave(): bigint {
    return this.enter(undefined)
  }

  /** The nanoseconds of each stage until now. */
  get nanos(): Readonly<Record<Stage, bigint>> {
    this.enter(this.#stage)
    return { ...this.#nanos }
  }

  /** The times since the last call, that of a stage that goes on included. */
  take(): StageTimes {
    const [before, now] = [this.#taken, this.nanos]
    this.#taken = now
    const millis = (stage: Stage) => Number(now[stage] - before[stage]) / NANOS_PER_MILLI
    return { sourceWaitMillis: millis("source"), encodeMillis: millis("encode"), storageWaitMillis: millis("storage") }
  }
}
