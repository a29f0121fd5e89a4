/** Checks as text for people. */
import type { Line, Style } from "../../../domain/display/Line.ts"
import { oneLine } from "../../../domain/display/textWidth.ts"
import type { Check, Outcome } from "../../../domain/health/Finding.ts"
import { counted } from "../../../domain/numbers.ts"

const styles: Readonly<Record<Outcome, Style>> = { ok: "green", warning: "yellow", problem: "red", skipped: "dim" }
const WIDTH = "problem  ".length

/** One line with what was found, and one with what to do. */
export const checkLines = ({ advice, detail, outcome, title }: Check): ReadonlyArray<Line> => [
  [{ text: outcome.padEnd(WIDTH), style: styles[outcome] }, { text: title, style: "bold" }, `: ${oneLine(detail)}`],
  ...(advice === undefined ? [] : [[`${" ".repeat(WIDTH)}-> ${oneLine(advice)}`]])
]

/** How many there are of each outcome. */
export const summaryLine = (checks: ReadonlyArray<Check>): Line => {
  const count = (outcome: Outcome) => checks.filter((check) => check.outcome === outcome).length
  const counts = [
    `${count("ok")} ok`,
    counted(count("warning"), "warning"),
    counted(count("problem"), "problem"),
    `${count("skipped")} skipped`
  ].join(", ")
  return count("problem") > 0
    ? [{ text: `A start would fail, or not go on for long: ${counts}`, style: "red" }]
    : [{ text: `A start may go ahead: ${counts}`, style: count("warning") > 0 ? "yellow" : "green" }]
}
