/** The options of `npm run bench`. */
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

export const CASES = [
  "catch-up",
  "three-tables",
  "ranges-1000",
  "ranges-1-block",
  "slope",
  "deferred",
  "tables",
  "delay",
  "tip",
  "memory",
  "start",
  "plot"
] as const
export type CaseName = typeof CASES[number]

export interface Options {
  /** The cases to run, in their order. */
  readonly only: ReadonlyArray<CaseName>
  readonly rounds: number
  /** 1 stands for a million rows of logs. */
  readonly scale: number
  readonly tiny: boolean
  /** Where the figures are written. */
  readonly json: string | undefined
  /** A folder for the drawings of the chunk size. */
  readonly plot: string | undefined
  /** The programs that are measured: each a `main.js`. */
  readonly builds: ReadonlyArray<string>
  /** `copy`: a plain COPY of ours; `psql`: `\copy` of the psql that is installed. */
  readonly floor: "copy" | "psql"
  /** The whole run is given up after so long. */
  readonly minutes: number
}

export const HELP = `npm run bench -- [options]
  --only a,b       cases: ${CASES.join(", ")} (plot needs --plot)
  --rounds N       rounds of each case (5)
  --scale X        1 stands for a million rows of logs (1)
  --tiny           every case once with next to no rows: shows that the benchmark works, measures nothing
  --main PATH      another build than dist/main.js; given twice, two builds take turns
  --floor psql     \\copy of an installed psql instead of a plain COPY of ours
  --json FILE      writes all figures
  --plot DIR       draws how the adaptive chunk size behaves
  --minutes N      gives up after so long (90)`

export class UsageError extends Error {}

const positive = (name: string, text: string): number => {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value)) throw new UsageError(`--${name}: a number above 0, not "${text}"`)
  return value
}

const casesOf = (text: string | undefined, plot: string | undefined): ReadonlyArray<CaseName> => {
  if (text === undefined) return CASES.filter((name) => name !== "plot" || plot !== undefined)
  const asked = text.split(",").map((name) => name.trim())
  const unknown = asked.find((name) => !CASES.some((known) => known === name))
  if (unknown !== undefined) throw new UsageError(`--only: no case "${unknown}"; there are ${CASES.join(", ")}`)
  if (asked.includes("plot") && plot === undefined) throw new UsageError("--only plot needs --plot DIR")
  return CASES.filter((name) => asked.includes(name))
}

/** Fails with `UsageError`; undefined when help was asked for. */
export const parseOptions = (args: ReadonlyArray<string>): Options | undefined => {
  const text = { type: "string" } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: text,
      rounds: text,
      scale: text,
      tiny: { type: "boolean", default: false },
      json: text,
      plot: text,
      main: { type: "string", multiple: true },
      floor: text,
      minutes: text,
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) return undefined
  const { floor = "copy", tiny } = values
  if (floor !== "copy" && floor !== "psql") throw new UsageError(`--floor: copy or psql, not "${floor}"`)
  return {
    only: casesOf(values.only, values.plot),
    rounds: Math.ceil(positive("rounds", values.rounds ?? (tiny ? "1" : "5"))),
    scale: positive("scale", values.scale ?? (tiny ? "0.002" : "1")),
    tiny,
    json: values.json,
    plot: values.plot,
    builds: values.main ?? [fileURLToPath(new URL("../../dist/main.js", import.meta.url))],
    floor,
    minutes: positive("minutes", values.minutes ?? (tiny ? "3" : "90"))
  }
}
