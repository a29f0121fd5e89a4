/** What the machine prints. */
import type { Result } from "./runSchedule.ts"
import { type Action, formatSchedule, type Schedule } from "./schedule.ts"

/** How many actions of each kind there are. */
export const countKinds = (actions: ReadonlyArray<Action>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { kind } of actions) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

const formatKinds = (actions: ReadonlyArray<Action>): string =>
  Object.entries(countKinds(actions)).toSorted(([a], [b]) => a < b ? -1 : 1)
    .map(([kind, count]) => count === 1 ? kind : `${count} ${kind}`).join(", ")

export const formatResult = (result: Result): string => {
  const { healSeconds, rows, schedule, seconds, snapshots, violations, watermarks } = result
  return `${
    violations.length === 0 ? "ok  " : "FAIL"
  } seed ${schedule.seed} ${schedule.dialect}: ${schedule.actions.length} actions; ` +
    `${snapshots} snapshots, ${watermarks} watermarks, ${rows} rows compared, healed in ${healSeconds.toFixed(1)} s, ` +
    `${seconds.toFixed(1)} s in all; ${formatKinds(schedule.actions)}`
}

/** The command that runs the schedule again, with the actions of these indices alone where some are given. */
export const replayCommand = ({ dialect, seed }: Schedule, seconds: number, only?: ReadonlyArray<number>): string =>
  `npm run chaos -- --seed ${seed} --dialect ${dialect} --seconds ${seconds}` +
  (only === undefined ? "" : ` --only ${only.join(",")}`)

export const formatViolation = ({ logs, schedule, violations }: Result, command: string): string =>
  [formatSchedule(schedule), ...violations.map((what) => `VIOLATION ${what}`), logs, `again: ${command}`].join("\n")
