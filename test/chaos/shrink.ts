/** Finds a shorter schedule that fails too. */
import type { Result } from "./runSchedule.ts"
import type { Schedule } from "./schedule.ts"

const LIMIT_MILLIS = 10 * 60_000

export interface Shorter {
  /** The indices of the actions that are left. */
  readonly only: ReadonlyArray<number>
  readonly result: Result
}

/**
 * Leaves out halves of the actions, then quarters, and so on down to single ones, for as long as the rest fails, and within ten
 * minutes. Undefined where no action could be left out.
 */
export const shrink = async (
  schedule: Schedule,
  run: (schedule: Schedule) => Promise<Result>
): Promise<Shorter | undefined> => {
  const until = Date.now() + LIMIT_MILLIS
  let best: Shorter | undefined
  let left = schedule.actions.map((_, index) => index)
  for (
    let size = Math.ceil(left.length / 2);
    size >= 1 && Date.now() < until;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = 0; from < left.length && left.length > 1 && Date.now() < until;) {
      const only = left.filter((_, index) => index < from || index >= from + size)
      const result = await run({ ...schedule, actions: only.map((index) => schedule.actions[index]!) })
      if (result.violations.length === 0) from += size
      else {
        best = { only, result }
        left = only
      }
    }
  }
  return best
}
