/** What the database has recorded of a sync, as text for people. */
import { type Cell, columns, type Heading } from "../../../domain/display/columns.ts"
import type { Line, Style } from "../../../domain/display/Line.ts"
import { oneLine } from "../../../domain/display/textWidth.ts"
import {
  isBadState,
  lagSecondsOf,
  problemsOf,
  type SyncRecord,
  type TableRecord,
  type WriterRecord
} from "../../../domain/health/SyncRecord.ts"
import { formatAge, formatCount, formatTime } from "../../../domain/numbers.ts"

/** Where it was read from, and how much room there is. */
export interface StatusView {
  /** `schema "..." of database "..." at host:port`. */
  readonly place: string
  /** Of the terminal; undefined where lines may be of any length. */
  readonly width: number | undefined
}

interface Column {
  readonly heading: Heading
  /** Of columns that have no room together the one with the highest number is left out first; 0 always stays. */
  readonly dispensable: number
  readonly cell: (table: TableRecord, nowMillis: number) => Cell
}

const right = (text: string): Heading => ({ text, alignment: "right" })
const left = (text: string): Heading => ({ text, alignment: "left" })
const number = (value: bigint | undefined): Cell => ({ text: value === undefined ? "-" : formatCount(value) })

const tableColumns: ReadonlyArray<Column> = [
  { heading: left("table"), dispensable: 0, cell: ({ table }) => ({ text: oneLine(table), style: "bold" }) },
  { heading: left("state"), dispensable: 0, cell: ({ state }) => withStyle(oneLine(state), styleOf(state)) },
  { heading: left("since"), dispensable: 5, cell: ({ sinceMillis }, now) => ({ text: ageOf(sinceMillis, now) }) },
  { heading: right("rows"), dispensable: 1, cell: ({ rows }) => number(rows) },
  { heading: right("provisional"), dispensable: 9, cell: ({ provisionalRows }) => number(provisionalRows) },
  { heading: right("watermark"), dispensable: 0, cell: ({ watermark }) => number(watermark) },
  {
    heading: right("age"),
    dispensable: 2,
    cell: ({ watermarkAtMillis }, now) => ({ text: ageOf(watermarkAtMillis, now) })
  },
  { heading: right("head"), dispensable: 4, cell: ({ sourceHead }) => number(sourceHead) },
  { heading: right("lag"), dispensable: 1, cell: ({ lagBlocks }) => number(lagBlocks) },
  { heading: right("lag s"), dispensable: 6, cell: (table) => ({ text: String(lagSecondsOf(table) ?? "-") }) },
  {
    heading: left("last reorg"),
    dispensable: 3,
    cell: ({ lastReorg }, now) => ({
      text: lastReorg === undefined
        ? "-"
        : `${ageOf(lastReorg.atMillis, now)} ago, ${formatCount(lastReorg.depth)} from ${
          formatCount(lastReorg.firstBlock)
        }`
    })
  },
  {
    heading: left("dataset"),
    dispensable: 7,
    cell: ({ dataset, datasetVersion }) => ({
      text: dataset === undefined
        ? "-"
        : oneLine(datasetVersion === undefined ? dataset : `${dataset}@${datasetVersion}`)
    })
  },
  { heading: left("network"), dispensable: 8, cell: ({ network }) => ({ text: oneLine(network ?? "-") }) }
]

const withStyle = (text: string, style: Style | undefined): Cell => style === undefined ? { text } : { text, style }

const styleOf = (state: string): Style | undefined => {
  if (state === "caught up") return "green"
  if (isBadState(state)) return "red"
  return state === "retrying" || state === "searching" || state === "standby" ? "yellow" : undefined
}

/** `12 s`: the time from `thenMillis` to `nowMillis`. */
export const ageOf = (thenMillis: number | undefined, nowMillis: number): string =>
  thenMillis === undefined ? "-" : formatAge(nowMillis - thenMillis)

/** The columns that have room in `width`. */
const chosenColumns = ({ readAtMillis, tables }: SyncRecord, width: number | undefined): ReadonlyArray<Column> => {
  let chosen = tableColumns
  const needed = () =>
    chosen.reduce(
      (sum, { cell, heading }) =>
        sum + 2 + Math.max(heading.text.length, ...tables.map((table) => cell(table, readAtMillis).text.length)),
      0
    )
  while (width !== undefined && needed() > width) {
    const least = Math.max(...chosen.map(({ dispensable }) => dispensable))
    if (least === 0) break
    chosen = chosen.filter(({ dispensable }) => dispensable !== least)
  }
  return chosen
}

const INDENT = "      "

/** Words in lines of `width` columns, indented. */
const wrapped = (text: string, width: number | undefined, style?: Style): ReadonlyArray<Line> => {
  const room = width === undefined ? Number.POSITIVE_INFINITY : Math.max(20, width - INDENT.length)
  const lines: Array<string> = []
  for (const word of oneLine(text).split(" ")) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > room) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.map((line) => style === undefined ? [INDENT + line] : [{ text: INDENT + line, style }])
}

const tableLines = (record: SyncRecord, { width }: StatusView): ReadonlyArray<Line> => {
  const { readAtMillis, tables } = record
  const chosen = chosenColumns(record, width)
  const [head, ...rows] = columns(
    chosen.map(({ heading }) => heading),
    tables.map((table) => chosen.map(({ cell }) => cell(table, readAtMillis)))
  )
  return [
    head!,
    ...tables.flatMap(({ reason, state, unverified }, index): ReadonlyArray<Line> => [
      rows[index]!,
      ...(reason === undefined ? [] : wrapped(reason, width, isBadState(state) ? "red" : "dim")),
      ...(unverified ? wrapped("unverified: a watermark was passed without a check of its hash", width, "yellow") : [])
    ])
  ]
}

const writerLines = (writer: WriterRecord, { readAtMillis, tables }: SyncRecord, width: number | undefined) => {
  const {
    configLoadedAtMillis,
    heartbeatAtMillis,
    isAlive,
    reloadFailedAtMillis,
    reloadReason,
    startedAtMillis,
    version
  } = writer
  const held = tables.filter((table) => table.writer === writer.writer).map(({ table }) => table)
  const ago = (millis: number | undefined) => `${ageOf(millis, readAtMillis)} ago`
  const facts = [
    version === undefined ? [] : [`ampsync ${version}`],
    startedAtMillis === undefined ? [] : [`started ${ago(startedAtMillis)}`],
    isAlive ? [] : [`silent for ${ageOf(heartbeatAtMillis, readAtMillis)}`],
    configLoadedAtMillis === undefined ? [] : [`config of ${ago(configLoadedAtMillis)}`],
    held.length === 0 ? ["writes no table"] : [`writes ${held.join(", ")}`]
  ].flat()
  const name: Line = [
    "  ",
    { text: oneLine(writer.writer), style: "bold" },
    "  ",
    isAlive ? "alive" : { text: "offline", style: "red" }
  ]
  return [
    name,
    ...wrapped(facts.join(", "), width),
    ...(reloadFailedAtMillis === undefined ? [] : wrapped(
      `the config that was changed ${ago(reloadFailedAtMillis)} is rejected, and the previous one stays active: ${
        reloadReason ?? "for an unknown reason"
      }`,
      width,
      "red"
    ))
  ]
}

const section = (title: string, lines: ReadonlyArray<Line>): ReadonlyArray<Line> =>
  lines.length === 0 ? [] : [[], [{ text: title, style: "bold" }], ...lines]

const latestLines = ({ latest }: SyncRecord, width: number | undefined): ReadonlyArray<Line> =>
  latest.flatMap(({ block, dataset, hash, network, tables }): ReadonlyArray<Line> => [
    [`  ${oneLine(dataset)}, network ${oneLine(network)}: block ${formatCount(block)}`],
    ...wrapped(`${hash} in ${tables.join(", ")}`, width)
  ])

/** The status, with everything that needs attention in its last line. */
export const statusLines = (record: SyncRecord, view: StatusView): ReadonlyArray<Line> => {
  const { writers } = record
  const problems = problemsOf(record)
  const verdict: Line = problems.length === 0
    ? [{ text: "All is well.", style: "green" }]
    : [{
      text: `Needs attention: ${
        problems.map(({ code, table }) => table === undefined ? code : `${oneLine(table)} (${code})`).join(", ")
      }`,
      style: "red"
    }]
  return [
    [{ text: view.place[0]!.toUpperCase() + view.place.slice(1), style: "bold" }],
    [`as of ${formatTime(record.readAtMillis)}`],
    [],
    ...(record.tables.length === 0 ? [] : tableLines(record, view)),
    ...section("Processes", writers.flatMap((writer) => writerLines(writer, record, view.width))),
    ...section("Complete in all tables of a dataset", latestLines(record, view.width)),
    [],
    verdict
  ]
}
