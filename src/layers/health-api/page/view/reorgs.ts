/** The last reorgs that this process applied, newest first. */
import { counted, formatCount } from "../../../../domain/numbers.ts"
import type { Status } from "../../../../services/HealthApi.ts"
import { type Html, html } from "./html.ts"
import { ago } from "./time.ts"

type Reorg = Status["last_reorgs"][number]

const HEADINGS = [["Time", ""], ["Table", ""], ["Blocks", "number"], ["Depth", "number"], [
  "Rows deleted",
  "number"
]] as const

export const reorgsSection = ({ last_reorgs: reorgs }: Status, nowMillis: number): Html =>
  html`<section aria-labelledby="reorgs"><h2 id="reorgs">Last reorgs</h2>${
    reorgs.length === 0
      ? html`<p class="none">None since the start.</p>`
      : html`<table role="table" class="reorgs"><caption>Reorgs of all tables, newest first</caption><thead role="rowgroup"><tr role="row">${
        HEADINGS.map(([text, kind]) => html`<th role="columnheader" scope="col" class="${kind}">${text}</th>`)
      }</tr></thead><tbody role="rowgroup">${reorgs.map((reorg) => row(reorg, nowMillis))}</tbody></table>`
  }</section>`

const row = (reorg: Reorg, nowMillis: number): Html =>
  html`<tr role="row"><td role="cell">${
    ago(reorg.at, nowMillis)
  }</td><th role="rowheader" scope="row">${reorg.table}</th>${number("Blocks", blocksOf(reorg))}${
    number("Depth", counted(reorg.depth, "block"))
  }${number("Rows deleted", formatCount(reorg.rows_deleted))}</tr>`

const number = (label: string, text: string): Html =>
  html`<td role="cell" class="number"><span class="label">${label}</span><div class="value">${text}</div></td>`

const blocksOf = ({ depth, first_block: first }: Reorg): string =>
  depth <= 1 ? formatCount(first) : `${formatCount(first)} to ${formatCount(first + depth - 1)}`
