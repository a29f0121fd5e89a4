/** A small line chart as SVG, readable on light and dark pages. */

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

const WIDTH = 760
const HEIGHT = 320
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

/** Both axes begin at 0. */
export const drawChart = ({ series, title, xLabel, yLabel }: Chart): string => {
  const points = series.flatMap((one) => one.points)
  const xTicks = ticksFor(Math.max(1, ...points.map(({ x }) => x)))
  const yTicks = ticksFor(Math.max(1, ...points.map(({ y }) => y)))
  const x = (value: number): number => LEFT + (value / xTicks.at(-1)!) * (WIDTH - LEFT - RIGHT)
  const y = (value: number): number => HEIGHT - BOTTOM - (value / yTicks.at(-1)!) * (HEIGHT - TOP - BOTTOM)
  const number = (value: number): string => Number(value.toPrecision(6)).toLocaleString("en-US")
  const line = (a: Point, b: Point): string =>
    `<line class="grid" x1="${x(a.x)}" y1="${y(a.y)}" x2="${x(b.x)}" y2="${y(b.y)}"/>`
  const [xMost, yMost] = [xTicks.at(-1)!, yTicks.at(-1)!]
  const grid = [
    ...xTicks.map((at) => line({ x: at, y: 0 }, { x: at, y: yMost }) + text(x(at), HEIGHT - 26, "middle", number(at))),
    ...yTicks.map((at) => line({ x: 0, y: at }, { x: xMost, y: at }) + text(LEFT - 8, y(at) + 4, "end", number(at)))
  ]
  const drawn = series.map((one, index) => {
    const legend = `<g class="s${index}"><circle class="dot" cx="${LEFT + 8 + index * 220}" cy="38" r="4"/></g>`
      + text(LEFT + 18 + index * 220, 42, "start", one.name)
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
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    `<style>${STYLE}</style><rect class="page" width="${WIDTH}" height="${HEIGHT}"/>`,
    text(LEFT, 22, "start", title, " class=\"title\""),
    ...grid,
    text(WIDTH - RIGHT, HEIGHT - 8, "end", xLabel),
    text(LEFT - 8, TOP - 10, "end", yLabel),
    ...drawn,
    "</svg>",
    ""
  ].join("\n")
}
