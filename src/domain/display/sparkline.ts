/** A row of bars for figures of equal weight. */

const BARS = "▁▂▃▄▅▆▇█"

/** `figures` in `width` bars, as high as their share of the largest one; a space where there was nothing. */
export const sparkline = (figures: ReadonlyArray<number>, width: number): string => {
  const per = Math.max(1, Math.ceil(figures.length / width))
  const sums = Array.from(
    { length: Math.ceil(figures.length / per) },
    (_, i) => figures.slice(i * per, (i + 1) * per).reduce((sum, figure) => sum + figure, 0)
  )
  const largest = Math.max(...sums)
  return sums.map((sum) => sum <= 0 ? " " : BARS[Math.ceil(sum / largest * BARS.length) - 1]).join("")
}
