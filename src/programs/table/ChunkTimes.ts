/** When the stages of one chunk began and ended. */
import type { Stage, StageClock } from "./StageClock.ts"

/** A stage from its first beginning to its last end, in monotonic nanoseconds; it may have paused in between. */
export interface StageSpan {
  readonly from: bigint
  readonly until: bigint
}

/** Collected while a chunk is written; a few readings of the clock per event and buffer. */
export class ChunkTimes {
  readonly #stages: StageClock
  #before: Readonly<Record<Stage, bigint>> | undefined
  /** From the first event of the chunk to the last one. */
  receive: StageSpan | undefined
  /** From the first row that was encoded to the last one. */
  encode: StageSpan | undefined
  /** From the opening of the transaction to its last COPY data. */
  copy: StageSpan | undefined
  /** From the statement that commits to its answer. */
  commit: StageSpan | undefined
  /** When it was committed, or failed. */
  endedAt: bigint | undefined
  /** Nanoseconds that the writer spent in each stage, from the first event to the sending of the COMMIT. */
  spent: Readonly<Record<Stage, bigint>> | undefined

  constructor(stages: StageClock) {
    this.#stages = stages
  }

  /** An event of the chunk is there. */
  received(now: bigint): void {
    this.#before ??= this.#stages.nanos
    this.receive = spanTo(this.receive, now)
  }

  encoding(now: bigint): void {
    // The rest of an event that the chunk before was too small for.
    if (this.receive === undefined) this.received(now)
    this.encode ??= { from: now, until: now }
  }

  encoded(now: bigint): void {
    this.encode = spanTo(this.encode, now)
  }

  copied(from: bigint, until: bigint): void {
    this.copy = { from: this.copy?.from ?? from, until }
  }

  /** The COMMIT is sent. */
  sent(now: bigint): void {
    this.commit = { from: now, until: now }
    this.spent = this.#spentUntilNow()
  }

  /** The chunk is committed, or failed. */
  ended(now: bigint): void {
    this.endedAt = now
    if (this.commit !== undefined) this.commit = spanTo(this.commit, now)
    this.spent ??= this.#spentUntilNow()
  }

  #spentUntilNow(): Readonly<Record<Stage, bigint>> | undefined {
    const [before, now] = [this.#before, this.#stages.nanos]
    return before === undefined ? undefined : {
      source: now.source - before.source,
      encode: now.encode - before.encode,
      storage: now.storage - before.storage
    }
  }
}

const spanTo = (span: StageSpan | undefined, now: bigint): StageSpan => ({ from: span?.from ?? now, until: now })
