/** Times of a status as elements: how long ago, with the moment itself for machines and as a tooltip. */
import { formatAge, formatTime } from "../../../../domain/numbers.ts"
import { type Html, html } from "./html.ts"

const element = (iso: string, text: string): Html =>
  html`<time datetime="${iso}" title="${formatTime(Date.parse(iso))}">${text}</time>`

/** `12 s ago`. */
export const ago = (iso: string, nowMillis: number): Html =>
  element(iso, `${formatAge(nowMillis - Date.parse(iso))} ago`)

/** `12 s`: for how long. */
export const since = (iso: string, nowMillis: number): Html => element(iso, formatAge(nowMillis - Date.parse(iso)))
