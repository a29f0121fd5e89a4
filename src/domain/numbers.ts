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

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const

/** `40 s`, `2 min 5 s`, `3 h 2 min`, `4 d 1 h`: whole seconds, in at most two units; less than none is `0 s`. */
export const formatAge = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  const index = UNITS.findIndex(([, size]) => seconds >= size)
  if (index < 0) return "0 s"
  const [[unit, size], smaller] = [UNITS[index]!, UNITS[index + 1]]
  const large = `${Math.floor(seconds / size)} ${unit}`
  const rest = smaller === undefined ? 0 : Math.floor(seconds % size / smaller[1])
  return rest === 0 ? large : `${large} ${rest} ${smaller![0]}`
}

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
