/** Writes the figures of a soak into a page of the documentation, between two marks. */
import { readFileSync, writeFileSync } from "node:fs"
import { judge } from "./judge.ts"
import type { Recording } from "./samples.ts"

const [BEGIN, END] = ["<!-- soak: begin -->", "<!-- soak: end -->"]

/** One line: how long, and how much happened meanwhile. */
export const summarize = ({ actions, samples }: Recording): string => {
  const last = samples.at(-1)
  const cpu = last?.cpuSeconds === undefined ? "" : `, ${(100 * last.cpuSeconds / last.seconds).toFixed(0)} % of a core`
  return `${((last?.seconds ?? 0) / 60).toFixed(0)} minutes, ${samples.length} samples, ${last?.block ?? 0} blocks, ` +
    `${last?.rows ?? 0} rows, ${last?.reorgs ?? 0} reorgs, ${actions.filter(({ name }) => name !== "reorg").length} ` +
    `other disturbances${cpu}`
}

/** Replaces what stands between the marks of `path`. */
export const document = (recording: Recording, path: string): void => {
  const page = readFileSync(path, "utf8")
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${path} does not contain ${BEGIN} and ${END}`)
  const { at, minutes, seed } = recording.start
  const rows = judge(recording).map(({ found, isFlat, what }) => `| ${what} | ${found} | ${isFlat ? "yes" : "no"} |`)
  const lines = [
    `\`npm run soak -- --minutes ${minutes} --seed ${seed}\`, ${at.slice(0, 10)}: ${summarize(recording)}.`,
    "",
    "| figure | measured | flat |",
    "| --- | --- | --- |",
    ...rows
  ]
  writeFileSync(path, `${page.slice(0, begin)}${BEGIN}\n\n${lines.join("\n")}\n\n${page.slice(end)}`)
}
