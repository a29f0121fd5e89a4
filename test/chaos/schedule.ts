/** A schedule: what happens when, as a pure function of its seed. */
import { Random, seedOf } from "../../src/simulator/random.ts"
import type { Dialect } from "../../src/simulator/tables.ts"

/** How often each kind of action is chosen, relative to the others. */
const WEIGHTS = {
  "mine": 30,
  "reorg": 14,
  "reorgs": 4,
  "reorg-shorter": 4,
  "reorg-deep": 3,
  "reorg-flip-flop": 4,
  "chain-reset": 2,
  "flight-cut": 5,
  "flight-cut-in-range": 5,
  "flight-slow": 5,
  "flight-frozen": 2,
  "flight-half-open": 2,
  "flight-hang": 2,
  "flight-reset-streams": 3,
  "flight-end-streams": 3,
  "flight-error": 3,
  "flight-goaway": 2,
  "flight-wrong-parent": 3,
  "admin-down": 2,
  "kill": 6,
  "terminate": 4,
  "pause": 4,
  "take-over": 2,
  "clock-jump": 3,
  "pg-crash": 2,
  "pg-restart": 2,
  "pg-promote-replica": 1,
  "pg-terminate-backends": 5,
  "pg-cancel-backends": 3,
  "pg-commit-cut": 6,
  "pg-commit-unanswered": 4,
  "pg-silent": 4,
  "pg-lock-table": 3,
  "pg-lock-checkpoint": 3,
  "pg-lock-rows": 3,
  "pg-no-connections": 3,
  "pg-role-timeouts": 3,
  "pg-read-only": 2,
  "pg-disk-full": 3,
  "pg-add-column": 2,
  "pg-vacuum-full": 2,
  "pg-reindex": 2,
  "reload-invalid": 2,
  "reload-without-table": 3,
  "reload-changed-query": 2
} as const

export type ActionKind = keyof typeof WEIGHTS

export const ACTION_KINDS = Object.keys(WEIGHTS) as ReadonlyArray<ActionKind>

export interface Action {
  /** Since the start of the schedule. */
  readonly atMillis: number
  readonly kind: ActionKind
  /** Blocks, times or messages, depending on the kind. */
  readonly amount: number
  /** How long a fault that ends by itself lasts. */
  readonly millis: number
  /** The process or table it is about, taken modulo their number. */
  readonly target: number
}

export interface Schedule {
  readonly seed: number
  readonly dialect: Dialect
  /** Two processes sync the same tables. */
  readonly processes: 1 | 2
  /** With two processes: whether one of them waits until it can take all tables. */
  readonly standby: boolean
  /** Whether the first action waits until every table is there. */
  readonly waitsForTables: boolean
  /** Blocks when the first process starts. */
  readonly blocks: number
  readonly maxRangeBlocks: number
  /** First block of a stretch without rows. */
  readonly emptyFrom: number
  readonly emptyBlocks: number
  /** Every so many blocks one is huge; none where 0. */
  readonly hugeEvery: number
  /** Whether a table is filled again when the server has another chain; they then keep fewer watermarks. */
  readonly resync: boolean
  /** Whether tables are created without their keys. */
  readonly defersIndexes: boolean
  readonly actions: ReadonlyArray<Action>
}

export interface ScheduleOptions {
  readonly seed: number
  /** Both, by the seed, where absent. */
  readonly dialect?: Dialect
  /** One or two, by the seed, where absent. */
  readonly processes?: 1 | 2
  /** Time in which actions begin. */
  readonly seconds?: number
}

const DEFAULT_SECONDS = 8
const MEAN_PAUSE_MILLIS = 400

export const scheduleOf = (
  { dialect, processes: given, seconds = DEFAULT_SECONDS, seed }: ScheduleOptions
): Schedule => {
  const random = new Random(seedOf([seed]), 1)
  const byDefault: Dialect = seed % 2 === 0 ? "amp" : "nozzle"
  const drawn = random.chance(35) ? 2 : 1
  const processes = given ?? drawn
  const standby = random.chance(60)
  const waitsForTables = random.chance(75)
  const blocks = 20 + random.below(80)
  const maxRangeBlocks = random.chance(50) ? 7 : 1000
  const emptyFrom = random.below(blocks)
  const emptyBlocks = random.chance(50) ? random.below(40) : 0
  const hugeEvery = random.chance(30) ? 15 + random.below(40) : 0
  const resync = random.chance(40)
  const actions: Array<Action> = []
  if (processes === 2 && random.chance(60)) {
    const kind = "take-over"
    actions.push({ atMillis: 300, kind, ...parameters(random, kind), target: random.below(60) })
  }
  for (let atMillis = 300; atMillis < seconds * 1000; atMillis += 50 + random.below(2 * MEAN_PAUSE_MILLIS)) {
    const kind = chooseKind(random)
    actions.push({ atMillis, kind, ...parameters(random, kind), target: random.below(60) })
  }
  return {
    seed,
    dialect: dialect ?? byDefault,
    processes,
    standby: processes === 2 && standby,
    waitsForTables,
    blocks,
    maxRangeBlocks,
    emptyFrom,
    emptyBlocks,
    hugeEvery,
    resync,
    // Not drawn: the schedules that belong to a seed stay what they were.
    defersIndexes: seed % 4 < 2,
    actions
  }
}

const chooseKind = (random: Random): ActionKind => {
  let left = random.below(ACTION_KINDS.reduce((sum, kind) => sum + WEIGHTS[kind], 0))
  return ACTION_KINDS.find((kind) => (left -= WEIGHTS[kind]) < 0)!
}

const parameters = (random: Random, kind: ActionKind): Pick<Action, "amount" | "millis"> => {
  const short = 100 + random.below(1500)
  // Longer than a heartbeat lives, so that another process takes over.
  const long = 6500 + random.below(2500)
  switch (kind) {
    case "mine":
      return { amount: random.chance(80) ? 1 + random.below(3) : 5 + random.below(20), millis: 0 }
    case "reorg":
    case "reorg-shorter":
      return { amount: 1 + random.below(random.chance(80) ? 6 : 25), millis: short }
    case "pause":
    case "pg-silent":
      return { amount: 1, millis: random.chance(50) ? long : short }
    default:
      return { amount: 1 + random.below(6), millis: short }
  }
}

export const formatAction = ({ amount, atMillis, kind, millis, target }: Action, index: number): string =>
  `  ${String(index).padStart(3)}  +${(atMillis / 1000).toFixed(2)} s  ${
    kind.padEnd(22)
  } amount ${amount}, ${millis} ms, target ${target}`

export const formatSchedule = (schedule: Schedule): string =>
  [
    `seed ${schedule.seed}, ${schedule.dialect}, ${schedule.blocks} blocks in ranges of at most ${schedule.maxRangeBlocks}, ` +
    (schedule.emptyBlocks === 0 ? "" : `${schedule.emptyBlocks} without rows from ${schedule.emptyFrom} on, `) +
    (schedule.hugeEvery === 0 ? "" : `every ${schedule.hugeEvery}th huge, `) +
    (schedule.resync ? "ON_CHAIN_RESET=resync, " : "") +
    (schedule.defersIndexes ? "DEFER_INDEXES=always, " : "") +
    `${schedule.processes === 1 ? "one process" : `two processes${schedule.standby ? " with STANDBY" : ""}`}, ` +
    `${schedule.waitsForTables ? "begins when the tables are there" : "begins at once"}:`,
    ...schedule.actions.map(formatAction)
  ].join("\n")
