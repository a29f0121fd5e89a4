/** The table of tables. Roles are written out: as cards, on narrow screens, the cells are no table to the browser. */
import { counted, formatBytes, formatCount, formatRate } from "../../../../domain/numbers.ts"
import type { Status } from "../../../../services/HealthApi.ts"
import { type Html, html } from "./html.ts"
import { sparkline } from "./sparkline.ts"
import { icon, toneOf } from "./state.ts"
import { ago, since } from "./time.ts"

type TableReport = Status["tables"][number]

const HEADINGS = [
  ["Table", ""],
  ["State", ""],
  ["Rows", "number"],
  ["Rows per second", "number"],
  ["Watermark", "number"],
  ["Lag", "number"],
  ["Reorgs", "number"]
] as const

export const tablesSection = ({ tables }: Status, nowMillis: number): Html =>
  html`<section aria-labelledby="tables"><h2 id="tables">Tables</h2>${
    tables.length === 0
      ? html`<p class="none">None yet: no config is active.</p>`
      : html`<table role="table" class="tables"><caption>State and progress of each table</caption><thead role="rowgroup"><tr role="row">${
        HEADINGS.map(([text, kind]) => html`<th role="columnheader" scope="col" class="${kind}">${text}</th>`)
      }</tr></thead><tbody role="rowgroup">${tables.map((table) => row(table, nowMillis))}</tbody></table>`
  }</section>`

const row = (table: TableReport, nowMillis: number): Html =>
  html`<tr role="row" class="${toneOf(table.state)}"><th role="rowheader" scope="row">${table.table}</th>${
    stateCell(table, nowMillis)
  }${
    figure("Rows", rowsOf(table.rows), some(table.provisional_rows, "provisional"), some(table.held_rows, "held back"))
  }${rateCell(table)}${
    figure(
      "Watermark",
      blockOf(table.watermark),
      table.watermark_at === null ? undefined : ago(table.watermark_at, nowMillis),
      some(table.confirmations, "confirmations"),
      table.unverified && "unverified"
    )
  }${figure("Lag", lagOf(table), lagSeconds(table), lagAge(table, nowMillis))}${
    figure("Reorgs", formatCount(table.reorgs))
  }</tr>`

const figure = (
  label: string,
  value: Html | string,
  ...notes: ReadonlyArray<Html | string | false | undefined>
): Html =>
  html`<td role="cell" class="number"><span class="label">${label}</span><div class="value">${value}${
    notes.map((note) => note === undefined || note === false ? undefined : html`<small>${note}</small>`)
  }</div></td>`

const rateCell = ({ bytes_per_second: bytes, rows_by_second: samples, rows_per_second: rows }: TableReport): Html =>
  html`<td role="cell" class="number"><span class="label">Rows per second</span><div class="rate">${
    sparkline("Rows per second", samples, rows)
  }<div class="value">${formatRate(rows)}<small>${formatBytes(bytes)}/s</small></div></div></td>`

const stateCell = (table: TableReport, nowMillis: number): Html => {
  const { first_error: first, last_error: last, reason, state } = table
  const tone = toneOf(state)
  return html`<td role="cell" class="state"><span class="label">State</span><span class="sign">${
    icon(tone)
  } ${state}</span> <small>for ${since(table.since, nowMillis)}</small>${
    reason === null ? undefined : html`<p class="reason">${reason}</p>`
  }${first === null || first.message === last?.message ? undefined : failure("First error", first, nowMillis)}${
    last === null || last.message === reason ? undefined : failure("Last error", last, nowMillis)
  }</td>`
}

const failure = (name: string, { at, message }: NonNullable<TableReport["last_error"]>, nowMillis: number): Html =>
  html`<p class="error">${name}, ${ago(at, nowMillis)}: ${message}</p>`

const unknown = html`<span class="unknown">unknown</span>`

const rowsOf = (rows: number | null): Html | string => rows === null ? unknown : formatCount(rows)

/** Nothing where there are none. */
const some = (count: number | null, what: string): string | undefined =>
  count === null || count === 0 ? undefined : `${formatCount(count)} ${what}`

const blockOf = (block: number | null): Html | string => block === null ? "none yet" : formatCount(block)

/** A head that was read longer ago than this proves a lag, never that there is none. */
const HEAD_LIFETIME_MILLIS = 30_000

const lagAge = ({ source_head_read_at: at }: TableReport, nowMillis: number): Html | undefined =>
  at === null || nowMillis - Date.parse(at) <= HEAD_LIFETIME_MILLIS ? undefined : html`as of ${ago(at, nowMillis)}`

const lagOf = ({ lag_blocks: blocks }: TableReport): Html | string =>
  blocks === null ? unknown : counted(blocks, "block")

const lagSeconds = ({ lag_seconds: seconds }: TableReport): string | undefined =>
  seconds === null ? undefined : `${formatCount(seconds)} s`
