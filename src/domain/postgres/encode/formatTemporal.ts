/** Formats dates, times and durations as text for JSON. */
import type { TimeUnit } from "../../arrow/ArrowSchema.ts"

/** Ticks of a unit in one second, and the fraction digits that hold one tick. */
const resolution = {
  second: { perSecond: 1n, digits: 0 },
  millisecond: { perSecond: 1_000n, digits: 3 },
  microsecond: { perSecond: 1_000_000n, digits: 6 },
  nanosecond: { perSecond: 1_000_000_000n, digits: 9 }
} as const

export const DAY_SECONDS = 86_400n

export const ticksPerSecond = (unit: TimeUnit): bigint => resolution[unit].perSecond

/** Days since 1970 as `2024-02-29`; years outside 0 to 9999 with a sign and six digits or more, as ISO 8601 has it. */
export const formatDate = (days: bigint): string => {
  // Counted from 0000-03-01, leap days end their year. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  const shifted = days + 719_468n
  const era = floorDivide(shifted, 146_097n)
  const dayOfEra = shifted - era * 146_097n
  const yearOfEra = (dayOfEra - dayOfEra / 1_460n + dayOfEra / 36_524n - dayOfEra / 146_096n) / 365n
  const dayOfYear = dayOfEra - (365n * yearOfEra + yearOfEra / 4n - yearOfEra / 100n)
  const monthFromMarch = (5n * dayOfYear + 2n) / 153n
  const day = dayOfYear - (153n * monthFromMarch + 2n) / 5n + 1n
  const month = monthFromMarch < 10n ? monthFromMarch + 3n : monthFromMarch - 9n
  const year = yearOfEra + era * 400n + (month <= 2n ? 1n : 0n)
  return `${formatYear(year)}-${pad(month, 2)}-${pad(day, 2)}`
}

/** Time of day as `13:45:00.123`, with the fraction digits of its unit. */
export const formatTime = (ticks: bigint, unit: TimeUnit): string => {
  const { digits, perSecond } = resolution[unit]
  const seconds = floorDivide(ticks, perSecond)
  const clock = `${pad(seconds / 3600n, 2)}:${pad(seconds / 60n % 60n, 2)}:${pad(seconds % 60n, 2)}`
  return digits === 0 ? clock : `${clock}.${pad(ticks - seconds * perSecond, digits)}`
}

/** Date and time of day as `2024-02-29T13:45:00.123`, with `Z` after it when it is an instant. */
export const formatTimestamp = (ticks: bigint, unit: TimeUnit, instant: boolean): string => {
  const perDay = resolution[unit].perSecond * DAY_SECONDS
  const days = floorDivide(ticks, perDay)
  return `${formatDate(days)}T${formatTime(ticks - days * perDay, unit)}${instant ? "Z" : ""}`
}

/** Length of time as `PT-1.500S`: exact, and read by PostgreSQL's `interval`. */
export const formatDuration = (ticks: bigint, unit: TimeUnit): string => `PT${formatSeconds(ticks, unit)}S`

/** Calendar interval as `P14M3DT0.500000000S`. */
export const formatInterval = (months: number, days: number, ticks: bigint, unit: TimeUnit): string =>
  `P${months}M${days}DT${formatSeconds(ticks, unit)}S`

const formatSeconds = (ticks: bigint, unit: TimeUnit): string => {
  const { digits, perSecond } = resolution[unit]
  const size = ticks < 0n ? -ticks : ticks
  const sign = ticks < 0n ? "-" : ""
  return digits === 0 ? `${sign}${size}` : `${sign}${size / perSecond}.${pad(size % perSecond, digits)}`
}

const formatYear = (year: bigint): string => {
  if (year >= 0n && year <= 9999n) return pad(year, 4)
  return year < 0n ? `-${pad(-year, 6)}` : `+${pad(year, 6)}`
}

const pad = (value: bigint, digits: number): string => value.toString().padStart(digits, "0")

const floorDivide = (value: bigint, by: bigint): bigint => {
  const quotient = value / by
  return value % by < 0n ? quotient - 1n : quotient
}
