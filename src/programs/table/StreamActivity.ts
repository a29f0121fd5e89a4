/** The state of the stream of one attempt while it runs, for the watchers that run beside it. */
import { Latch } from "effect"
import type { CatchUpDetector } from "../../domain/chain/CatchUpDetector.ts"
import { caughtUpAt, onEvent, onIdle, onSettled, startDetector } from "../../domain/chain/CatchUpDetector.ts"
import type { Checkpoint } from "../../domain/chain/Checkpoint.ts"
import type { StreamPosition } from "../../domain/chain/compareWithHead.ts"
import type { TableEvent } from "../../domain/chain/TableEvent.ts"
import type { Watermark } from "../../domain/chain/watermarks.ts"

/** After the last sign of a backlog it counts as over. */
const BACKLOG_MILLIS = 1_000

/** What of a stream waits for confirmations. */
export interface Waiting {
  /** Whether a chain that reaches up to `head` confirms more than was written. */
  readonly isBehind: (head: bigint) => boolean
  /** Whether `block` was received and is not written, because it waits. */
  readonly waitsFor: (block: Watermark) => boolean
}

/** Updated by the pipeline through its `on...` methods, read by `watchSource`, `watchSearch` and `watchLease`. */
export class StreamActivity implements StreamPosition {
  received: bigint | undefined
  declaresEnds: boolean
  isInRange = false
  /** A range came on this connection. */
  hasRange = false
  messages = 0
  lastMessageAtMillis: number
  /** What is durable once everything that came is committed. */
  checkpoint: Checkpoint
  /** Open while `isIdle`. */
  readonly idle = Latch.makeUnsafe(false)
  /** Open while nothing but the tip of a chain comes. */
  readonly quiet = Latch.makeUnsafe(false)
  /** Open from the moment at which the table fell behind until the watcher has noticed it. */
  readonly woken = Latch.makeUnsafe(false)
  /** The table caught up on this connection, and did not fall behind since. */
  isAtTip = false
  /** What came and waits for confirmations; undefined where nothing has to. */
  waiting: Waiting | undefined
  /** Nothing is read, because no more rows that wait for confirmations have room: silence means nothing. */
  isPaused = false
  /** Open from the moment at which something came that is not written at once. */
  readonly arrived = Latch.makeUnsafe(false)
  #isIdle = false
  /** Every watermark of this checkpoint that was in doubt was found canonical. */
  #verified: Checkpoint | undefined
  #detector: CatchUpDetector

  /** `declaresEnds`: what is expected of the server until its first range shows it. */
  constructor(checkpoint: Checkpoint, declaresEnds: boolean, nowMillis: number) {
    this.declaresEnds = declaresEnds
    this.checkpoint = checkpoint
    this.received = this.watermark?.block
    this.lastMessageAtMillis = nowMillis
    this.#detector = startDetector(this.watermark !== undefined, nowMillis)
  }

  /** The newest watermark received, committed or not. */
  get watermark(): Watermark | undefined {
    return this.checkpoint.history.at(-1)
  }

  /** Everything that came is committed, and no check of it is pending: only then does the silence of the stream count. */
  get isIdle(): boolean {
    return this.#isIdle
  }

  set isIdle(isIdle: boolean) {
    this.#isIdle = isIdle
    if (isIdle) this.idle.openUnsafe()
    else this.idle.closeUnsafe()
  }

  get network(): string | undefined {
    return this.checkpoint.network
  }

  /** A message arrived; it may be one that only shows that the server is at work. */
  onMessage(nowMillis: number): void {
    this.messages += 1
    this.lastMessageAtMillis = nowMillis
  }

  /** Takes an event into account; returns whether it belongs to a backlog, false where it may be of the tip. */
  onEvent(event: TableEvent, nowMillis: number): boolean {
    if (event._tag !== "Rows") this.checkpoint = event.checkpoint
    if (event._tag === "RangeStarted") {
      this.hasRange = true
      this.isInRange = event.endIsDeclared
      const { end, start } = event.range
      this.declaresEnds = event.endIsDeclared
      if (!event.endIsDeclared) this.received = end
      else if (this.received !== undefined && start <= this.received) this.received = start - 1n
    }
    if (event._tag === "Watermark" && this.declaresEnds) {
      this.received = event.range.end
      this.isInRange = false
    }
    this.#detector = onEvent(this.#detector, event, nowMillis)
    const isBacklog = this.#detector.caughtUp === false
    if (isBacklog) this.quiet.closeUnsafe()
    return isBacklog
  }

  /** As `onEvent`, for an event that is not written at once: the writer may be idle, and stay so. */
  onReceived(event: TableEvent, nowMillis: number): boolean {
    if (this.isIdle) this.#detector = onIdle(this.#detector, nowMillis)
    this.arrived.openUnsafe()
    return this.onEvent(event, nowMillis)
  }

  /** Nothing of `checkpoint` is in doubt any more. */
  onVerified(checkpoint: Checkpoint): void {
    this.#verified = checkpoint
  }

  /** Removes the mark of doubt from a checkpoint that was verified since. */
  withoutDoubt<State extends Checkpoint>(state: State): State {
    const isVerified = this.#verified !== undefined && state.unverifiedFrom === this.#verified.unverifiedFrom &&
      state.history === this.#verified.history
    return isVerified ? { ...state, unverifiedFrom: undefined } : state
  }

  /** Whether a backlog came within the last second. */
  isBacklog(nowMillis: number): boolean {
    return this.#detector.caughtUp === false && nowMillis - this.#detector.backlogAtMillis < BACKLOG_MILLIS
  }

  /** Nothing is left to write; the silence of the stream counts from now. */
  onIdle(nowMillis: number): void {
    this.isIdle = true
    this.onMessage(nowMillis)
    this.#detector = onIdle(this.#detector, nowMillis)
  }

  /** Something came. */
  onBusy(nowMillis: number): void {
    this.isIdle = false
    this.#detector = onIdle(this.#detector, nowMillis)
  }

  onSettled(): void {
    this.#detector = onSettled(this.#detector)
    this.quiet.openUnsafe()
  }

  /** Time at which it is quiet if nothing more comes, in elapsed milliseconds; undefined where silence alone does not count. */
  get quietAtMillis(): number | undefined {
    return caughtUpAt(this.#detector)
  }
}
