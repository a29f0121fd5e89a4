/** The state of the whole process in one line. */
import { counted } from "../../../../domain/numbers.ts"
import type { Status } from "../../../../services/HealthApi.ts"
import { type Tone, toneOf } from "./state.ts"

export interface Headline {
  readonly tone: Tone
  readonly text: string
  /** Of the document. */
  readonly title: string
}

const ORDER: ReadonlyArray<Tone> = ["bad", "warning", "idle", "busy", "good"]

/** The worst of what its tables do, in words; a reload that failed is worth a warning by itself. */
export const headline = (status: Status): Headline => {
  const { config, last_reload: reload, ready, tables } = status
  if (config === null) return titled(status, "warning", "No config is active")
  const tones = tables.map(({ state }) => toneOf(state))
  const worst = ORDER.find((tone) => tones.includes(tone)) ?? "busy"
  if (reload?.outcome === "failed") {
    return titled(status, worst === "bad" ? "bad" : "warning", `${sentence(status)}; the last reload failed`)
  }
  return titled(status, worst === "good" && !ready ? "warning" : worst, sentence(status))
}

const sentence = ({ ready, tables }: Status): string => {
  const states = [...new Set(tables.map(({ state }) => state))]
  const [only] = states
  if (only === undefined) return "No table has started"
  if (states.length === 1) {
    const subject = tables.length === 1 ? `Table ${tables[0]!.table} is` : `All ${counted(tables.length, "table")} are`
    return `${subject} ${wordsOf(only)}${only === "caught up" && !ready ? ", but not ready" : ""}`
  }
  // What needs attention comes first.
  return states.toSorted((a, b) => ORDER.indexOf(toneOf(a)) - ORDER.indexOf(toneOf(b)))
    .map((state) => `${tables.filter((table) => table.state === state).length} ${wordsOf(state)}`)
    .join(", ")
}

const wordsOf = (state: string): string => state === "standby" ? "on standby" : state

const MARKS: Readonly<Record<Tone, string>> = { good: "✓", busy: "↑", warning: "⚠", bad: "✕", idle: "‖" }

const titled = ({ config }: Status, tone: Tone, text: string): Headline => ({
  tone,
  text,
  title: `${MARKS[tone]} ${text} – ${config === null ? "" : `${config.dataset} – `}Ampsync`
})
