/** How fast a count has grown lately. */

interface Sample {
  readonly atMillis: number
  readonly count: number
}

/** The samples of the last few seconds, oldest first. */
export type Speed = ReadonlyArray<Sample>

/** Long enough that commits of a second do not make the figure jump, short enough that it tells of now. */
const WINDOW_MILLIS = 3000

export const noSpeed: Speed = []

/** Takes a sample in; the newest one that is older than the window stays, as its beginning. */
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
