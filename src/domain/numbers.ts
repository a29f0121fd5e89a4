/** Numbers and times, formatted for people. */

/** `1,234,567`. */
export const formatCount = (count: number | bigint): string => {
  const digits = (typeof count === "number" ? BigInt(Math.round(count)) : count).toString()
  return digits.replace(/\B(?=(\d{3})+$)/g, ",")
}

/** `1 block`, `2 blocks`. */
export const counted = (count: number | bigint, noun: string): string =>
  `${formatCount(count)} ${noun}${BigInt(count) === 1n ? "" : "s"}`

/** `200 ms`, `1.5 s`, `2 min 5 s`. */
export const formatMillis = (millis: number): string => {
  if (millis < 1000) return `${Math.round(millis)} ms`
  const seconds = millis / 1000
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`
  const whole = Math.round(seconds)
  return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`
}
