/** Lines at the bottom of a terminal that are redrawn in place, below everything else that the process writes. */
import { fit, type Line, lineWidth } from "../../domain/display/Line.ts"
import type { Size } from "../../domain/display/progressView.ts"
import { oneLine } from "../../domain/display/textWidth.ts"
import { wrapWords } from "../../domain/display/wrapWords.ts"
import { type OutputStream, TerminalWriter } from "./TerminalWriter.ts"

interface Drawn {
  readonly text: string
  readonly width: number
}

interface Written {
  readonly stream: OutputStream
  readonly text: string
}

/** A terminal of unknown size reports 0. */
const USUAL: Size = { columns: 80, rows: 24 }

/**
 * The cursor is hidden, lines are not wrapped and the screen is not refreshed only while a frame is written: however the process
 * ends, the terminal is as it was. Source: DEC STD 070 (DECTCEM, DECAWM); terminals that do not know 2026 ignore it.
 */
const BEGIN = "\u001b[?2026h\u001b[?25l"
const END = "\u001b[?25h\u001b[?2026l"
const NO_WRAP = "\u001b[?7l"
const WRAP = "\u001b[?7h"
/** Source: ECMA-48, CUU, EL and ED. */
const up = (rows: number): string => rows === 0 ? "\r" : `\u001b[${rows}A\r`
const CLEAR_LINE_END = "\u001b[K"
const CLEAR_BELOW = "\u001b[J"

/** Of what was written while the terminal took nothing, the last so many pieces are kept. */
const MAX_WRITTEN = 1_000

/** Takes over both streams until it is left. While a terminal takes nothing, nothing is drawn. */
export class LiveView {
  readonly #stdout: OutputStream
  readonly #render: (line: Line) => string
  readonly #writers = new Map<OutputStream, TerminalWriter>()
  readonly #partial = new Map<OutputStream, string>()
  #view: (size: Size) => ReadonlyArray<Line> = () => []
  #drawn: ReadonlyArray<Drawn> = []
  #columns = 0
  #written: Array<Written> = []
  #leftOut = 0
  #isScheduled = false
  #isStale = false

  constructor(stdout: OutputStream, stderr: OutputStream, render: (line: Line) => string) {
    this.#stdout = stdout
    this.#render = render
    for (const stream of new Set([stdout, stderr])) if (stream.isTTY === true) this.#takeOver(stream)
    stdout.on("resize", this.redraw)
  }

  /** Shows `view` from now on. */
  show(view: (size: Size) => ReadonlyArray<Line>): void {
    this.#view = view
    this.redraw()
  }

  /** Draws what changed: the text that was written meanwhile, and lines that differ. */
  readonly redraw = (): void => {
    if (!this.#writers.has(this.#stdout)) return
    this.#isStale = this.#isHeld()
    if (this.#isStale) return this.#dropOldest()
    const size = this.#size()
    const lines = this.#linesOf(size).slice(0, Math.max(1, size.rows - 1)).map((line): Drawn => ({
      text: this.#render(line),
      width: lineWidth(line)
    }))
    const written = this.#takeLines(size.columns)
    const isSameShape = lines.length === this.#drawn.length && size.columns === this.#columns
    if (written.length > 0 || !isSameShape) this.#drawAll(written, lines, size.columns)
    else this.#drawChanged(lines)
    this.#drawn = lines
    this.#columns = size.columns
  }

  /** Lets the next drawing begin at the cursor, below what is shown now. */
  forget(): void {
    this.#drawn = []
  }

  /** Leaves what is shown where it is and gives both streams back. */
  readonly leave = (): void => {
    if (!this.#writers.has(this.#stdout)) return
    if (this.#written.length > 0) this.redraw()
    this.#stdout.off("resize", this.redraw)
    for (const [stream, writer] of this.#writers) {
      writer.giveBack()
      const rest = this.#partial.get(stream) ?? ""
      if (rest !== "") stream.write(rest)
    }
    this.#writers.clear()
  }

  /** A view that fails must not end what it shows: it is drawn when a signal or a resize comes, too. */
  #linesOf(size: Size): ReadonlyArray<Line> {
    try {
      return this.#view(size)
    } catch (cause) {
      return [fit([oneLine(`The view cannot be drawn (please report it): ${String(cause)}`)], size.columns - 1)]
    }
  }

  #size(): Size {
    return { columns: this.#stdout.columns || USUAL.columns, rows: this.#stdout.rows || USUAL.rows }
  }

  #takeOver(stream: OutputStream): void {
    this.#writers.set(stream, new TerminalWriter(stream, () => this.#isStale && this.redraw()))
    stream.write = (chunk: string | Uint8Array, ...rest: ReadonlyArray<unknown>) => {
      this.#written.push({ stream, text: typeof chunk === "string" ? chunk : Buffer.from(chunk).toString() })
      const callback = rest.find((argument) => typeof argument === "function") as (() => void) | undefined
      // One frame for all that is written at once, and before anything else happens.
      if (!this.#isScheduled) {
        this.#isScheduled = true
        queueMicrotask(() => {
          this.#isScheduled = false
          this.redraw()
        })
      }
      if (callback !== undefined) process.nextTick(callback)
      return true
    }
  }

  #isHeld(): boolean {
    return [...this.#writers.values()].some(({ isHeld }) => isHeld)
  }

  #dropOldest(): void {
    const dropped = this.#written.splice(0, Math.max(0, this.#written.length - MAX_WRITTEN))
    this.#leftOut += dropped.length
  }

  /** The whole lines that were written meanwhile, broken between words; a line that is not complete waits for its end. */
  #takeLines(columns: number): ReadonlyArray<Written> {
    const lines = this.#written.flatMap(({ stream, text }): ReadonlyArray<Written> => {
      const all = `${this.#partial.get(stream) ?? ""}${text}`
      const end = all.lastIndexOf("\n") + 1
      this.#partial.set(stream, all.slice(end))
      if (end === 0) return []
      const wrapped = all.slice(0, end - 1).split("\n").flatMap((line) => wrapWords(line, columns))
      return [{ stream, text: wrapped.map((line) => `${line}\n`).join("") }]
    })
    this.#written = []
    if (this.#leftOut === 0) return lines
    const text = `${this.#leftOut} lines are left out here, because the terminal took none\n`
    this.#leftOut = 0
    return [{ stream: this.#stdout, text }, ...lines]
  }

  /** The rows that the drawn lines take now: a terminal that became narrower has wrapped them. */
  #rowsDrawn(columns: number): number {
    return this.#drawn.reduce((rows, { width }) => rows + Math.max(1, Math.ceil(width / columns)), 0)
  }

  #drawAll(written: ReadonlyArray<Written>, lines: ReadonlyArray<Drawn>, columns: number): void {
    const view = `${NO_WRAP}${lines.map(({ text }) => `${text}\n`).join("")}${WRAP}`
    this.#write([
      { stream: this.#stdout, text: `${BEGIN}${up(this.#rowsDrawn(columns))}${CLEAR_BELOW}` },
      ...written,
      { stream: this.#stdout, text: `${view}${END}` }
    ])
  }

  /** Lines that stay the same are not touched, so that what is selected in them stays selected. */
  #drawChanged(lines: ReadonlyArray<Drawn>): void {
    const first = lines.findIndex(({ text }, i) => text !== this.#drawn[i]!.text)
    if (first < 0) return
    const rest = lines.slice(first).map(({ text }, i) =>
      text === this.#drawn[first + i]!.text ? "\n" : `${text}${CLEAR_LINE_END}\n`
    )
    const view = `${NO_WRAP}${rest.join("")}${WRAP}`
    this.#write([{ stream: this.#stdout, text: `${BEGIN}${up(lines.length - first)}${view}${END}` }])
  }

  /** Writes in one go what is for the same stream. */
  #write(all: ReadonlyArray<Written>): void {
    let pending: Written | undefined
    const flush = () => void (pending && this.#writers.get(pending.stream)?.write(pending.text))
    for (const next of all) {
      if (pending?.stream === next.stream) pending = { stream: next.stream, text: pending.text + next.text }
      else {
        flush()
        pending = next
      }
    }
    flush()
  }
}
