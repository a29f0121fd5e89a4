/** The rate of a count over the last seconds. */

interface Sample {
  readonly atMillis: number
  readonly count: number
}

/** The samples of the last few seconds, oldest first. */
export type Speed = ReadonlyArray<Sample>

/** Long enough that commits of a second do not make the figure jump, short enough to be current. */
const WINDOW_MILLIS = 3000

export const noSpeed: Speed = []

/** Adds a sample; the newest one older than the window is kept as its beginning. */
export const sample = (speed: Speed, atMillis: number, count: number): Speed => {
  const begin = speed.findLastIndex((old) => old.atMillis <= atMillis - WINDOW_MILLIS)
  return [...speed.slice(Math.max(0, begin)), { atMillis, count }]
}

/** Per second, over the window. */
export const perSecond = (speed: Speed): number => {
  const first = speed[0]
  const last = speed.at(-1)
  if (first === undefined || last === undefined || last.atMillis === first.atMillis) return 0
  return (last.count - first.count) * 1000 / (last.atMillis - first.atMillis)
}
