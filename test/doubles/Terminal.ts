/** A terminal in memory: what it shows after what was written to it. */
import type { OutputStream } from "../../src/layers/screen/TerminalWriter.ts"

interface Row {
  text: string
  /** The next row continues it, because it was full. */
  wraps: boolean
}

/** Two columns wide; a test has no other such characters. */
const WIDE = /[\u3000-\u9fff\uac00-\ud7ff]/u

export const columnsOf = (text: string): number => [...text].reduce((sum, char) => sum + (WIDE.test(char) ? 2 : 1), 0)

/** Understands new lines, carriage returns, CUU, EL, ED, SGR and the private modes 7, 25 and 2026; fails on anything else. */
export class FakeTerminal implements OutputStream {
  readonly isTTY: boolean
  /** Everything that was written, one entry per write. */
  readonly written: Array<string> = []
  isCursorVisible = true
  #columns: number
  #rows: number
  #lines: Array<Row> = [{ text: "", wraps: false }]
  #row = 0
  #column = 0
  #isWrapping = true
  #waiting: Array<{ readonly text: string; readonly taken: (() => void) | undefined }> | undefined
  readonly #listeners = new Set<() => void>()

  constructor(options: { readonly columns?: number; readonly rows?: number; readonly isTTY?: boolean } = {}) {
    this.#columns = options.columns ?? 80
    this.#rows = options.rows ?? 24
    this.isTTY = options.isTTY ?? true
  }

  get columns() {
    return this.#columns
  }

  get rows() {
    return this.#rows
  }

  /** All lines so far, also those that scrolled away; the last one is that of the cursor. */
  get lines(): ReadonlyArray<string> {
    return this.#lines.map(({ text }) => text.trimEnd())
  }

  /** How many listeners for a change of the size there are. */
  get listeners(): number {
    return this.#listeners.size
  }

  on = (_: "resize", listener: () => void) => this.#listeners.add(listener)
  off = (_: "resize", listener: () => void) => this.#listeners.delete(listener)

  /** Characters that were written since it takes nothing. */
  get writableLength(): number {
    return this.#waiting?.reduce((sum, { text }) => sum + text.length, 0) ?? 0
  }

  /** Takes nothing from now on, as after Ctrl-S. */
  hold(): void {
    this.#waiting = []
  }

  /** Takes what was written meanwhile. */
  resume(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const { text } of waiting) this.#take(text)
    for (const { taken } of waiting) taken?.()
  }

  write = (chunk: string | Uint8Array, taken?: () => void): boolean => {
    const text = String(chunk)
    if (this.#waiting !== undefined) {
      this.#waiting.push({ text, taken })
      return false
    }
    this.#take(text)
    return true
  }

  #take(text: string): void {
    this.written.push(text)
    // oxlint-disable-next-line eslint/no-control-regex
    for (const [token] of text.matchAll(/\u001b\[[?\d;]*[A-Za-z]|[\s\S]/gu)) this.#handle(token)
  }

  /** Breaks the lines that were too long once more, as most terminals do. */
  resize(columns: number, rows = this.#rows): void {
    const whole: Array<{ text: string; hasCursor: boolean }> = []
    let isContinued = false
    this.#lines.forEach(({ text, wraps }, i) => {
      if (isContinued) whole.at(-1)!.text += text
      else whole.push({ text, hasCursor: false })
      if (i === this.#row) whole.at(-1)!.hasCursor = true
      isContinued = wraps
    })
    this.#columns = columns
    this.#rows = rows
    this.#lines = []
    for (const { hasCursor, text } of whole) {
      if (hasCursor) this.#row = this.#lines.length
      let [row, width] = ["", 0]
      for (const char of text) {
        if (width + columnsOf(char) > columns) {
          this.#lines.push({ text: row, wraps: true })
          ;[row, width] = ["", 0]
        }
        row += char
        width += columnsOf(char)
      }
      this.#lines.push({ text: row, wraps: false })
    }
    for (const listener of this.#listeners) listener()
  }

  #handle(token: string): void {
    if (token === "\n") this.#newLine(false)
    else if (token === "\r") this.#column = 0
    else if (token.startsWith("\u001b")) this.#control(token.slice(2))
    else this.#put(token)
  }

  #control(sequence: string): void {
    const line = this.#lines[this.#row]!
    if (sequence === "K") line.text = line.text.slice(0, this.#column)
    else if (sequence === "J") {
      line.text = line.text.slice(0, this.#column)
      line.wraps = false
      this.#lines.length = this.#row + 1
    } else if (sequence === "?7l" || sequence === "?7h") this.#isWrapping = sequence === "?7h"
    else if (sequence === "?25l" || sequence === "?25h") this.isCursorVisible = sequence === "?25h"
    else if (/^\d+A$/.test(sequence)) {
      const top = Math.max(0, this.#lines.length - this.#rows)
      this.#row = Math.max(top, this.#row - Number.parseInt(sequence, 10))
    } else if (!/^(?:[\d;]*m|\?2026[hl])$/.test(sequence)) throw new Error(`unknown control sequence ${sequence}`)
  }

  #newLine(wraps: boolean): void {
    this.#lines[this.#row]!.wraps = wraps
    this.#row += 1
    this.#column = 0
    if (this.#row === this.#lines.length) this.#lines.push({ text: "", wraps: false })
  }

  /** The column is counted in characters: a test overwrites lines from their beginning only. */
  #put(char: string): void {
    const before = this.#lines[this.#row]!.text.slice(0, this.#column)
    if (columnsOf(before) + columnsOf(char) > this.#columns) {
      if (!this.#isWrapping) return
      this.#newLine(true)
      return this.#put(char)
    }
    const line = this.#lines[this.#row]!
    line.text = line.text.slice(0, this.#column) + char + line.text.slice(this.#column + char.length)
    this.#column += char.length
  }
}
