/** How fast one table comes through its blocks, and how long it may take until it has caught up. */
import { committedBlock, lagBlocks } from "./lag.ts"
import { isAtTip } from "./TablePhase.ts"
import type { TableStatus } from "./TableStatus.ts"

interface Sample {
  readonly atMillis: number
  readonly block: bigint
}

/** What was seen of a table since it began to catch up, at most the last minute of it. */
export interface BlockPace {
  /** When it began to catch up: samples of an earlier backlog are those of another pace. */
  readonly sinceMillis: number | undefined
  /** Oldest first. */
  readonly samples: ReadonlyArray<Sample>
}

/** Long enough that the size of single ranges does not matter. */
const WINDOW_MILLIS = 60_000
/** With less, the first commits decide. */
const LEAST_MILLIS = 3_000
/** Samples between two moments this near are one. */
const STEP_MILLIS = 1_000
/** A head that was read longer ago does not prove that nothing is missing. */
const HEAD_LIFETIME_MILLIS = 60_000

export const noPace: BlockPace = { sinceMillis: undefined, samples: [] }

/** The pace after `status` was seen at `nowMillis`. */
export const samplePace = (pace: BlockPace, status: TableStatus, nowMillis: number): BlockPace => {
  const { hasConnected, phase, sinceMillis } = status
  const block = committedBlock(status)
  // Before the first commit it is not known where the dataset begins: the way there is no pace.
  if (phase !== "catching up" || !hasConnected || block === undefined) return noPace
  const last = pace.samples.at(-1)
  const sample = { atMillis: nowMillis, block }
  // What was taken back has to be read again.
  if (pace.sinceMillis !== sinceMillis || last === undefined || block < last.block) {
    return { sinceMillis, samples: [sample] }
  }
  if (nowMillis - last.atMillis < STEP_MILLIS) return pace
  const begin = pace.samples.findLastIndex(({ atMillis }) => atMillis <= nowMillis - WINDOW_MILLIS)
  return { sinceMillis, samples: [...pace.samples.slice(Math.max(0, begin)), sample] }
}

/** Blocks per second over the last minute, or since the table began to catch up; undefined where that is too short. */
export const blocksPerSecond = ({ samples }: BlockPace): number | undefined => {
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined || last.atMillis - first.atMillis < LEAST_MILLIS) return undefined
  return Number(last.block - first.block) * 1_000 / (last.atMillis - first.atMillis)
}

/** Blocks behind the source; undefined where the head is not known, or is too old to prove that nothing is missing. */
export const blocksBehind = (status: TableStatus, nowMillis: number): bigint | undefined => {
  const lag = lagBlocks(status)
  const isOld = nowMillis - (status.headReadAtMillis ?? 0) > HEAD_LIFETIME_MILLIS
  return lag === 0n && isOld && !isAtTip(status) ? undefined : lag
}

/** Seconds until a table that is catching up has the blocks that the source is known to have; undefined where it is unknown. */
export const secondsLeft = (pace: BlockPace, status: TableStatus, nowMillis: number): number | undefined => {
  const [behind, rate] = [blocksBehind(status, nowMillis), blocksPerSecond(pace)]
  return behind === undefined || behind === 0n || rate === undefined || rate <= 0 ? undefined : Number(behind) / rate
}
