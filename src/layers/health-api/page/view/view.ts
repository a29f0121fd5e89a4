/**
 * The page as a function of a status, the same on both sides: the server makes the first one of it, the browser every later one.
 */
import type { Status } from "../../../../services/HealthApi.ts"
import { type Html, html } from "./html.ts"
import { processSection } from "./process.ts"
import { reorgsSection } from "./reorgs.ts"
import { tablesSection } from "./tables.ts"
import { throughputSection } from "./throughput.ts"

/** What stands inside of `main`. */
export const view = (status: Status, nowMillis: number): Html =>
  html`${processSection(status, nowMillis)}${throughputSection(status)}${tablesSection(status, nowMillis)}${
    reorgsSection(status, nowMillis)
  }`

/** What a person who cannot see the page should hear of a change: states only, never figures. */
export const announcement = (before: Status, after: Status): string => {
  const old = new Map(before.tables.map(({ state, table }) => [table, state]))
  const changed = after.tables.filter(({ state, table }) => old.get(table) !== state)
  const removed = before.tables.filter(({ table }) => !after.tables.some((one) => one.table === table))
  return [
    ...(before.ready === after.ready ? [] : [after.ready ? "Ready" : "Not ready"]),
    ...changed.map(({ reason, state, table }) => `Table ${table} is ${state}${reason === null ? "" : `: ${reason}`}`),
    ...removed.map(({ table }) => `Table ${table} is no longer synced`)
  ].join(". ")
}
