/** The states of tables and processes as signs: a shape and a word, so that no color stands alone. */
import { Html, html } from "./html.ts"

export type Tone = "good" | "busy" | "warning" | "bad" | "idle"

const TONES: Readonly<Record<string, Tone>> = {
  "caught up": "good",
  "catching up": "busy",
  "building indexes": "busy",
  starting: "busy",
  searching: "warning",
  retrying: "warning",
  diverged: "bad",
  stalled: "bad",
  parked: "bad",
  standby: "idle"
}

export const toneOf = (state: string): Tone => TONES[state] ?? "warning"

/** What is drawn into a square of 16 units: a tick, an arrow, a triangle, a cross, two bars. */
const SHAPES: Readonly<Record<Tone, string>> = {
  good: `<circle cx="8" cy="8" r="7"/><path class="mark" d="M4.8 8.3l2.2 2.2 4.2-4.6"/>`,
  busy: `<circle cx="8" cy="8" r="7"/><path class="mark" d="M8 11.5v-7M5 7.4l3-3 3 3"/>`,
  warning: `<path d="M8 .9l7.4 13.7H.6z"/><path class="mark" d="M8 6v4M8 11.9v.6"/>`,
  bad: `<rect x="1" y="1" width="14" height="14" rx="3"/><path class="mark" d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6"/>`,
  idle: `<circle cx="8" cy="8" r="7"/><path class="mark" d="M6.2 5.2v5.6M9.8 5.2v5.6"/>`
}

/** Decoration: the word beside it has the same meaning. */
export const icon = (tone: Tone): Html =>
  html`<svg class="icon ${tone}" viewBox="0 0 16 16" aria-hidden="true">${new Html(SHAPES[tone])}</svg>`

/** Colors that are readable on light and dark tabs. */
const FAVICON: Readonly<Record<Tone | "lost", string>> = {
  good: "#2f9e5f",
  busy: "#3b7dd8",
  warning: "#d98a00",
  bad: "#d63d3d",
  idle: "#7a8594",
  lost: "#7a8594"
}

const drawing = (tone: Tone | "lost"): string =>
  SHAPES[tone === "lost" ? "bad" : tone]
    .replaceAll(
      `class="mark"`,
      `fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"`
    )

/** The icon of the browser's tab as a data URI. */
export const favicon = (tone: Tone | "lost"): string =>
  "data:image/svg+xml," + encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="${FAVICON[tone]}">${drawing(tone)}</svg>`
  )
