/** Rows and bytes committed per second over the last minute, kept by second: nothing has to run between two commits. */

/** Seconds of samples that are kept. */
export const SAMPLE_SECONDS = 60
/** Seconds that a rate is the mean of. */
export const RATE_SECONDS = 10

/** What was committed in one second. */
export interface ThroughputSample {
  readonly rows: number
  /** Bytes of COPY data. */
  readonly bytes: number
}

/** The throughput at one moment. The second in progress is part of none of it. */
export interface ThroughputReport {
  /** Means over the last `RATE_SECONDS`, or over the age of the process where that is less. */
  readonly rowsPerSecond: number
  readonly bytesPerSecond: number
  /** The last `SAMPLE_SECONDS` seconds, oldest first. */
  readonly samples: ReadonlyArray<ThroughputSample>
}

interface Slot {
  second: number
  rows: number
  bytes: number
}

/** A ring of seconds. */
export class Throughput {
  readonly #slots: ReadonlyArray<Slot> = Array.from(
    { length: SAMPLE_SECONDS + 1 },
    () => ({ second: -1, rows: 0, bytes: 0 })
  )
  readonly #sinceSecond: number

  constructor(atMillis: number) {
    this.#sinceSecond = secondOf(atMillis)
  }

  /** Adds a commit. */
  add(rows: number, bytes: number, atMillis: number): void {
    const second = secondOf(atMillis)
    const slot = this.#slotOf(second)
    if (slot.second !== second) Object.assign(slot, { second, rows: 0, bytes: 0 })
    slot.rows += rows
    slot.bytes += bytes
  }

  /** The throughput as of `nowMillis`. */
  report(nowMillis: number): ThroughputReport {
    const now = secondOf(nowMillis)
    const samples = Array.from({ length: SAMPLE_SECONDS }, (_, index): ThroughputSample => {
      const second = now - SAMPLE_SECONDS + index
      const slot = this.#slotOf(second)
      return slot.second === second ? { rows: slot.rows, bytes: slot.bytes } : nothing
    })
    const seconds = Math.min(RATE_SECONDS, Math.max(1, now - this.#sinceSecond))
    const recent = samples.slice(-RATE_SECONDS)
    const mean = (key: keyof ThroughputSample) => recent.reduce((sum, sample) => sum + sample[key], 0) / seconds
    return { rowsPerSecond: mean("rows"), bytesPerSecond: mean("bytes"), samples }
  }

  #slotOf(second: number): Slot {
    const { length } = this.#slots
    return this.#slots[((second % length) + length) % length]!
  }
}

const nothing: ThroughputSample = { rows: 0, bytes: 0 }

/** That of a table that committed nothing yet. */
export const noThroughput: ThroughputReport = {
  rowsPerSecond: 0,
  bytesPerSecond: 0,
  samples: Array.from({ length: SAMPLE_SECONDS }, () => nothing)
}

const secondOf = (millis: number): number => Math.floor(millis / 1_000)
