/** Throughput as a line: one sample per second, drawn to the height of its own maximum. */
import { formatCount, formatRate } from "../../../../domain/numbers.ts"
import { type Html, html } from "./html.ts"

const HEIGHT = 24
/** Room above the line: a steady rate should not look like a lid. */
const HEADROOM = 1.2

/** Rows per second, oldest first. `label` begins the text that stands for the picture. */
export const sparkline = (label: string, samples: ReadonlyArray<number>, perSecond: number): Html => {
  const most = Math.max(0, ...samples)
  const width = Math.max(1, samples.length - 1)
  const points = samples.map((rows, second) => `${second} ${heightOf(rows, most)}`).join("L")
  const text = `${label}: ${formatRate(perSecond)} rows/s now, at most ${
    formatCount(most)
  } in one of the last ${samples.length} seconds`
  return html`<svg class="spark" viewBox="0 -1 ${width} ${
    HEIGHT + 2
  }" preserveAspectRatio="none" role="img" aria-label="${text}">${
    most > 0 ? html`<path class="area" d="M0 ${HEIGHT}L${points}L${width} ${HEIGHT}Z"/>` : undefined
  }<path class="line" d="M${points}"/></svg>`
}

const heightOf = (rows: number, most: number): string =>
  Number((HEIGHT - (most === 0 ? 0 : rows / most / HEADROOM * HEIGHT)).toFixed(1)).toString()
