/** Medians and percentiles of a few figures. */

/** The middle one of an odd number of values, the mean of the two middle ones of an even number. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[sorted.length >> 1] ?? Number.NaN
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN
  return (lower + upper) / 2
}

/** The nearest-rank percentile: the smallest value that at least `percent` of all are not above. */
export const percentile = (values: ReadonlyArray<number>, percent: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN
}

/** The figures of one round, by name; null where this machine cannot measure them. */
export type Figures = Readonly<Record<string, number | null>>

/** The median of every figure over the rounds; null when one round has none. */
export const medians = (rounds: ReadonlyArray<Figures>): Figures =>
  Object.fromEntries(
    Object.keys(rounds[0] ?? {}).map((name) => {
      const values = rounds.map((round) => round[name] ?? null)
      return [name, values.includes(null) ? null : median(values as ReadonlyArray<number>)]
    })
  )
