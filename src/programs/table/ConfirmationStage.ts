/** The state of the stage that holds ranges back: what waits, what is confirmed and not yet taken by the writer. */
import { type Clock, Effect, Exit, Option } from "effect"
import type { ColumnBatch } from "../../domain/arrow/ColumnBatch.ts"
import { bytesOf, type HeldRanges } from "../../domain/chain/HeldRanges.ts"
import type { TableEvent } from "../../domain/chain/TableEvent.ts"
import { elapsedMillisOf } from "../../domain/elapsed.ts"
import { FlightError } from "../../services/FlightClient.ts"
import type { HeldMemory } from "./HeldMemory.ts"
import type { KeptRanges } from "./KeptRanges.ts"
import type { StreamActivity } from "./StreamActivity.ts"

/** A range of so many bytes is not left waiting for the one after it: most likely it is of a backlog. */
const LARGE_RANGE_BYTES = 2 * 1024 * 1024

/** So often the figures of what waits are reported at most, while it grows. */
const REPORT_MILLIS = 250

type Event = TableEvent<ColumnBatch>

export class ConfirmationStage<E> {
  readonly ranges: HeldRanges<ColumnBatch>
  readonly activity: StreamActivity
  /** How the stream ended, or why it is given up. */
  exit: Exit.Exit<void, E> | undefined
  /** The head of the source when it was last read. */
  head: bigint | undefined
  /** Since when nothing is read, because there is no room for more. Elapsed milliseconds. */
  fullSinceMillis: number | undefined
  /** The source is to be asked soon, because the range that came is likely to be confirmed already. */
  isFresh = false
  /** When the source was last asked, and the newest range then. */
  #askedAtMillis = 0
  #asked: unknown
  readonly #memory: HeldMemory
  readonly #clock: Clock.Clock
  readonly #waiters = new Set<() => void>()
  readonly #stopListening: () => void
  /** Confirmed; from `#position` on not yet taken. */
  #confirmed: Array<Event | undefined> = []
  #position = 0
  #confirmedBytes = 0
  #reportedAtMillis = -Infinity
  #reportedEmpty = true
  /** What of the common memory is taken. */
  #takenBytes: number

  constructor(
    ranges: HeldRanges<ColumnBatch>,
    takenBytes: number,
    activity: StreamActivity,
    memory: HeldMemory,
    clock: Clock.Clock
  ) {
    this.ranges = ranges
    this.#takenBytes = takenBytes
    this.activity = activity
    this.#memory = memory
    this.#clock = clock
    this.#stopListening = memory.onFreed(() => this.changed())
    activity.waiting = {
      isBehind: (head) => this.hasConfirmed || this.ranges.isBehind(head),
      waitsFor: (block) => this.ranges.waitsFor(block)
    }
  }

  /** Of the monotonic clock. */
  nowMillis(): number {
    return elapsedMillisOf(this.#clock)
  }

  get hasConfirmed(): boolean {
    return this.#position < this.#confirmed.length
  }

  /** One frame may always be read: then the source can be asked about its range, whatever the other tables hold. */
  get mayRead(): boolean {
    return !this.hasConfirmed && !this.#isFull
  }

  get #isFull(): boolean {
    return !this.ranges.isEmpty && !this.#memory.hasRoom()
  }

  /** The source must not be waited for longer: nothing else can confirm what waits, or it takes much memory. */
  get isUrgent(): boolean {
    const { newest } = this.ranges
    if (newest === undefined) return false
    const isLarge = newest.bytes >= LARGE_RANGE_BYTES && newest.range !== this.#asked
    return isLarge || (this.fullSinceMillis !== undefined && this.#askedAtMillis < this.fullSinceMillis)
  }

  /** Whether a range that ends there need not wait: it is the first one, or the source had more than enough when it was read. */
  isLikelyOld(end: bigint): boolean {
    return this.ranges.isEmpty || (this.head !== undefined && end + this.ranges.confirmations <= this.head)
  }

  onAsked(): void {
    this.#asked = this.ranges.newest?.range
    this.#askedAtMillis = this.nowMillis()
  }

  /** Whether it is time to report what waits; each true counts as a report. */
  mayReportHeld(): boolean {
    const [isEmpty, now] = [this.ranges.isEmpty, this.nowMillis()]
    if (isEmpty ? this.#reportedEmpty : now - this.#reportedAtMillis < REPORT_MILLIS) return false
    this.#reportedAtMillis = now
    this.#reportedEmpty = isEmpty
    return true
  }

  release(events: ReadonlyArray<Event>): void {
    for (const event of events) {
      this.#confirmed.push(event)
      this.#confirmedBytes += bytesOf(event)
    }
    if (events.length > 0) this.activity.isIdle = false
    this.changed()
  }

  /** Takes what is next, up to the first rows: the writer reads no more ahead than of a stream. */
  take(): ReadonlyArray<Event> {
    const frame: Array<Event> = []
    while (this.hasConfirmed && frame.at(-1)?._tag !== "Rows") {
      const event = this.#confirmed[this.#position]!
      this.#confirmed[this.#position] = undefined
      this.#position += 1
      this.#confirmedBytes -= bytesOf(event)
      frame.push(event)
    }
    if (!this.hasConfirmed) [this.#confirmed, this.#position] = [[], 0]
    this.changed()
    return frame
  }

  /** Counts what waits, and wakes up who waits for it. */
  changed(): void {
    const bytes = this.ranges.held.bytes + this.#confirmedBytes
    const more = bytes - this.#takenBytes
    this.#takenBytes = bytes
    if (more !== 0) this.#memory.take(more)
    const isPaused = this.#isFull && !this.hasConfirmed
    if (isPaused) this.fullSinceMillis ??= this.nowMillis()
    else if (this.fullSinceMillis !== undefined) {
      this.fullSinceMillis = undefined
      this.activity.onMessage(this.nowMillis())
    }
    this.activity.isPaused = isPaused
    for (const waiter of this.#waiters) waiter()
  }

  until(isReached: () => boolean): Effect.Effect<void> {
    return Effect.callback((resumed) => {
      const check = () => {
        if (!isReached()) return
        this.#waiters.delete(check)
        resumed(Effect.void)
      }
      this.#waiters.add(check)
      check()
      return Effect.sync(() => this.#waiters.delete(check))
    })
  }

  /** The first end counts. */
  end(exit: Exit.Exit<void, E>): void {
    this.exit ??= exit
    this.changed()
  }

  /** Leaves what waits to `kept` where the stream ended by itself; otherwise it is forgotten. */
  close(kept: KeptRanges): void {
    this.#stopListening()
    this.#waiters.clear()
    this.activity.waiting = undefined
    this.activity.isPaused = false
    if (!this.ranges.isEmpty && !this.hasConfirmed && this.#endedByItself) kept.keep(this.ranges, this.#takenBytes)
    else this.#memory.take(-this.#takenBytes)
    this.#takenBytes = 0
  }

  get #endedByItself(): boolean {
    if (this.exit === undefined || Exit.isSuccess(this.exit)) return this.exit !== undefined
    const error = Option.getOrUndefined(Exit.findErrorOption(this.exit))
    return error instanceof FlightError
  }
}
