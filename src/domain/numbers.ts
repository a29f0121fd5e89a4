/** Numbers and times, formatted for people. */

/** `1,234,567`. */
export const formatCount = (count: number | bigint): string => {
  const digits = (typeof count === "number" ? BigInt(Math.round(count)) : count).toString()
  return digits.replace(/\B(?=(\d{3})+$)/g, ",")
}

/** At most six characters: `9,999`, `12.3k`, `4.57M`. */
export const formatShort = (count: number | bigint): string => {
  const value = Number(count)
  if (Math.round(value) < 10_000) return formatCount(value)
  const [unit, size] = value < 999_500 ? ["k", 1e3] : value < 999_500_000 ? ["M", 1e6] : ["G", 1e9]
  return `${formatRounded(value / size)}${unit}`
}

const formatRounded = (value: number): string => value < 1_000 ? `${Number(value.toPrecision(3))}` : formatCount(value)

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

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"]] as const

/** `12 s`, `5 min`, `3 h`, `2 d`: whole seconds up to two minutes, then the largest unit of which there are two; never negative. */
export const formatAge = (millis: number): string => {
  const seconds = Math.max(0, Math.round(millis / 1_000))
  const unit = UNITS.find(([size]) => seconds >= 2 * size)
  return unit === undefined ? `${seconds} s` : `${Math.floor(seconds / unit[0])} ${unit[1]}`
}

/** `2026-11-30 11:40:12 UTC`. */
export const formatTime = (millis: number): string =>
  `${new Date(millis).toISOString().slice(0, 19).replace("T", " ")} UTC`

/** `0`, `0.4`, `12`, `1,234`: per second. */
export const formatRate = (perSecond: number): string =>
  perSecond > 0 && perSecond < 9.95 ? Number(perSecond.toFixed(1)).toString() : formatCount(perSecond)

/** `512 B`, `1.5 kB`, `20 MB`. */
export const formatBytes = (bytes: number): string => {
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** power
  return `${power > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${["B", "kB", "MB", "GB", "TB"][power]}`
}

/** How long something takes, in steps coarse enough not to flicker: `45 s`, `4 min`, `2 h 10 min`, `3 d 4 h`. */
export const formatRoughly = (seconds: number): string => {
  const rounded = seconds < 10 ? Math.ceil(seconds) : 5 * Math.round(seconds / 5)
  if (rounded < 60) return `${Math.max(1, rounded)} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  return minutes < 24 * 60
    ? withRest(10 * Math.round(minutes / 10), 60, "h", "min")
    : withRest(Math.round(minutes / 60), 24, "d", "h")
}

const withRest = (count: number, size: number, unit: string, small: string): string =>
  `${formatCount(Math.floor(count / size))} ${unit}${count % size === 0 ? "" : ` ${count % size} ${small}`}`
