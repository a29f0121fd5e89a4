/** Small line charts as SVG, readable on light and dark pages. */

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<Point>
  /** A line that keeps its value until the next point; dots where absent. */
  readonly steps?: boolean
}

export interface Chart {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly series: ReadonlyArray<Series>
}

interface Size {
  readonly width: number
  readonly height: number
}

const SINGLE: Size = { width: 760, height: 320 }
const PANEL: Size = { width: 400, height: 240 }
const LEGEND_WIDTHS = 3.6
const LEFT = 70
const RIGHT = 20
const TOP = 56
const BOTTOM = 44
const TICKS = 5

const STYLE = `
  .page { fill: #ffffff } text { fill: #24292f; font: 12px system-ui, sans-serif } .title { font-size: 15px }
  .grid { stroke: #d0d7de } .s0 { color: #0969da } .s1 { color: #bc4c00 }
  .line { fill: none; stroke: currentColor; stroke-width: 2 } .dot { fill: currentColor }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } .s0 { color: #58a6ff } .s1 { color: #f0883e }
  }`

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

/** The smallest of 1, 2 and 5 times a power of ten that `TICKS` steps of reach `most`. */
const stepFor = (most: number): number => {
  const raw = Math.max(most, Number.MIN_VALUE) / TICKS
  const power = 10 ** Math.floor(Math.log10(raw))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw)!
}

const ticksFor = (most: number): ReadonlyArray<number> => {
  const step = stepFor(most)
  return Array.from({ length: Math.max(1, Math.ceil(most / step)) + 1 }, (_, index) => index * step)
}

const text = (x: number, y: number, anchor: string, content: string, more = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"${more}>${escape(content)}</text>`

/** What a chart consists of, without the page around it; both axes begin at 0. */
const drawPanel = ({ series, title, xLabel, yLabel }: Chart, { height, width }: Size): string => {
  const points = series.flatMap((one) => one.points)
  const xTicks = ticksFor(points.reduce((most, { x }) => Math.max(most, x), 1))
  const yTicks = ticksFor(points.reduce((most, { y }) => Math.max(most, y), 1))
  const x = (value: number): number => LEFT + (value / xTicks.at(-1)!) * (width - LEFT - RIGHT)
  const y = (value: number): number => height - BOTTOM - (value / yTicks.at(-1)!) * (height - TOP - BOTTOM)
  const number = (value: number): string => Number(value.toPrecision(6)).toLocaleString("en-US")
  const line = (a: Point, b: Point): string =>
    `<line class="grid" x1="${x(a.x)}" y1="${y(a.y)}" x2="${x(b.x)}" y2="${y(b.y)}"/>`
  const legendAt = (index: number): number => LEFT + 8 + index * Math.round(width / LEGEND_WIDTHS)
  const [xMost, yMost] = [xTicks.at(-1)!, yTicks.at(-1)!]
  const grid = [
    ...xTicks.map((at) => line({ x: at, y: 0 }, { x: at, y: yMost }) + text(x(at), height - 26, "middle", number(at))),
    ...yTicks.map((at) => line({ x: 0, y: at }, { x: xMost, y: at }) + text(LEFT - 8, y(at) + 4, "end", number(at)))
  ]
  const drawn = series.map((one, index) => {
    const legend = `<g class="s${index}"><circle class="dot" cx="${legendAt(index)}" cy="38" r="4"/></g>`
      + text(legendAt(index) + 10, 42, "start", one.name)
    const marks = one.points.map((point) =>
      `<circle class="dot" cx="${x(point.x).toFixed(1)}" cy="${y(point.y).toFixed(1)}" r="2.5"/>`
    )
    const path = one.points.map((point, i) =>
      i === 0
        ? `M${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`
        : `H${x(point.x).toFixed(1)}V${y(point.y).toFixed(1)}`
    )
    const shape = one.steps === true ? `<path class="line" d="${path.join("")}"/>` : marks.join("")
    return `${legend}<g class="s${index}">${shape}</g>`
  })
  return [
    text(LEFT, 22, "start", title, " class=\"title\""),
    ...grid,
    text(width - RIGHT, height - 8, "end", xLabel),
    text(LEFT - 8, TOP - 10, "end", yLabel),
    ...drawn
  ].join("\n")
}

const page = ({ height, width }: Size, content: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">`,
    `<style>${STYLE}</style><rect class="page" width="${width}" height="${height}"/>`,
    ...content,
    "</svg>",
    ""
  ].join("\n")

export const drawChart = (chart: Chart): string => page(SINGLE, [drawPanel(chart, SINGLE)])

/** Small multiples: the charts side by side, `columns` in a row. */
export const drawCharts = (charts: ReadonlyArray<Chart>, columns: number): string => {
  const size = { width: columns * PANEL.width, height: Math.ceil(charts.length / columns) * PANEL.height }
  const panels = charts.map((chart, index) => {
    const [x, y] = [index % columns * PANEL.width, Math.floor(index / columns) * PANEL.height]
    return `<g transform="translate(${x} ${y})">${drawPanel(chart, PANEL)}</g>`
  })
  return page(size, panels)
}
