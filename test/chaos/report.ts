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

/** What a line of `formatResult` has. */
interface Line {
  readonly failed: boolean
  readonly actions: number
  readonly snapshots: number
  readonly watermarks: number
  readonly rows: number
  readonly healSeconds: number
  readonly kinds: ReadonlyMap<string, number>
}

const parseLine = (line: string): Line | undefined => {
  const [result, figures, ...kinds] = line.split("; ").flatMap((part, index) => index < 2 ? [part] : part.split(", "))
  const numbers = [...figures?.matchAll(/[\d.]+/g) ?? []].map(([digits]) => Number(digits))
  if (!/^(ok {2}|FAIL) seed \d+ /.test(result ?? "") || numbers.length !== 5) return undefined
  const [snapshots, watermarks, rows, healSeconds] = numbers as [number, number, number, number]
  return {
    failed: result!.startsWith("FAIL"),
    actions: Number(/(\d+) actions$/.exec(result!)?.[1]),
    snapshots,
    watermarks,
    rows,
    healSeconds,
    kinds: new Map(kinds.map((text) => {
      const [, count = "1", kind = ""] = /^(?:(\d+) )?(.*)$/.exec(text)!
      return [kind, Number(count)]
    }))
  }
}

const whole = new Intl.NumberFormat("en-US")

/** Markdown of what the machine printed in one or several runs. */
export const summarize = (printed: string): string => {
  const lines = printed.split("\n").flatMap((line) => parseLine(line) ?? [])
  const sum = (of: (line: Line) => number) => whole.format(lines.reduce((total, line) => total + of(line), 0))
  const heals = lines.map(({ healSeconds }) => healSeconds).toSorted((a, b) => a - b)
  const heal = (share: number) => `${heals[Math.min(heals.length - 1, Math.floor(heals.length * share))]?.toFixed(1)} s`
  const kinds = [...new Set(lines.flatMap((line) => [...line.kinds.keys()]))].toSorted()
  return [
    "| | |",
    "| --- | --- |",
    `| schedules | ${whole.format(lines.length)} |`,
    `| with violations | ${lines.filter(({ failed }) => failed).length} |`,
    `| actions | ${sum(({ actions }) => actions)} |`,
    `| snapshots of a table and its bookkeeping | ${sum(({ snapshots }) => snapshots)} |`,
    `| watermarks whose rows were checked | ${sum(({ watermarks }) => watermarks)} |`,
    `| rows compared by value at the end | ${sum(({ rows }) => rows)} |`,
    `| healed in: median, 95 %, most | ${heal(0.5)}, ${heal(0.95)}, ${heal(1)} |`,
    "",
    "| kind | times |",
    "| --- | --- |",
    ...kinds.map((kind) => `| \`${kind}\` | ${sum((line) => line.kinds.get(kind) ?? 0)} |`)
  ].join("\n")
}

/** The command that runs the schedule again, with the actions of these indices alone where some are given. */
export const replayCommand = (
  { dialect, processes, seed }: Schedule,
  seconds: number,
  only?: ReadonlyArray<number>
): string =>
  `npm run chaos -- --seed ${seed} --dialect ${dialect} --processes ${processes} --seconds ${seconds}` +
  (only === undefined ? "" : ` --only ${only.join(",")}`)

export const formatViolation = ({ logs, schedule, violations }: Result, command: string): string =>
  [formatSchedule(schedule), ...violations.map((what) => `VIOLATION ${what}`), logs, `again: ${command}`].join("\n")
