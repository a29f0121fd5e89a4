/** What all tables do together: rows per second, and what they wait for. */
import { formatBytes, formatCount, formatRate } from "../../../../domain/numbers.ts"
import type { Status } from "../../../../services/HealthApi.ts"
import { type Html, html } from "./html.ts"
import { sparkline } from "./sparkline.ts"

const STAGES = [
  ["source", "waiting for the source"],
  ["encode", "encoding rows"],
  ["storage", "waiting for the database"]
] as const

export const throughputSection = ({ tables, throughput }: Status): Html =>
  html`<section class="throughput" aria-labelledby="throughput"><h2 id="throughput">Throughput</h2><div class="total"><p class="figure"><strong>${
    formatRate(throughput.rows_per_second)
  }</strong> rows/s <small>${formatBytes(throughput.bytes_per_second)}/s</small></p>${
    sparkline("All tables", throughput.rows_by_second, throughput.rows_per_second)
  }<p class="axis" aria-hidden="true"><span>a minute ago</span><span>at most ${
    formatCount(Math.max(0, ...throughput.rows_by_second))
  } rows in a second</span><span>now</span></p></div>${waits(tables)}</section>`

/** Shares of the time since the start; nothing before there is any. */
const waits = (tables: Status["tables"]): Html | undefined => {
  const seconds = STAGES.map(([stage]) => tables.reduce((sum, { stage_seconds: of }) => sum + of[stage], 0))
  const all = seconds.reduce((sum, one) => sum + one, 0)
  if (all === 0) return undefined
  const shares = seconds.map((one) => one / all * 100)
  const start = (index: number) => shares.slice(0, index).reduce((sum, share) => sum + share, 0)
  return html`<div class="waits"><h3>Where the time goes, since the start</h3><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">${
    STAGES.map(([stage], index) =>
      html`<rect class="${stage}" x="${start(index).toFixed(2)}" y="0" width="${
        shares[index]!.toFixed(2)
      }" height="8"/>`
    )
  }</svg><ul>${
    STAGES.map(([stage, text], index) =>
      html`<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${stage}" width="10" height="10"/></svg><strong>${
        percent(shares[index]!)
      }</strong> ${text}</li>`
    )
  }</ul></div>`
}

const percent = (share: number): string => share > 0 && share < 1 ? "<1 %" : `${Math.round(share)} %`
