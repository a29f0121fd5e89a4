/** Writes to a terminal without waiting for it: one that takes nothing more, as after Ctrl-S, must not hold the process. */

/** What is needed of `process.stdout` and `process.stderr`. */
export interface OutputStream {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  /** Characters that were written and not taken. */
  readonly writableLength?: number
  write: (chunk: string | Uint8Array, taken?: () => void) => boolean
  readonly on: (event: "resize", listener: () => void) => unknown
  readonly off: (event: "resize", listener: () => void) => unknown
}

/** Node makes every terminal blocking, and offers no other way to undo that. */
interface WithHandle {
  readonly _handle?: { readonly setBlocking?: (isBlocking: boolean) => unknown } | null
}

const setBlocking = (stream: OutputStream & WithHandle, isBlocking: boolean): void =>
  void stream._handle?.setBlocking?.(isBlocking)

export class TerminalWriter {
  readonly #stream: OutputStream
  readonly #write: OutputStream["write"]
  readonly #taken: () => void

  /** `taken` is called when something that was written has been taken. */
  constructor(stream: OutputStream, taken: () => void) {
    this.#stream = stream
    this.#write = stream.write
    this.#taken = taken
    setBlocking(stream, false)
  }

  /** Whether something that was written is not taken yet. */
  get isHeld(): boolean {
    return (this.#stream.writableLength ?? 0) > 0
  }

  write(text: string): void {
    this.#write.call(this.#stream, text, this.#taken)
  }

  /** Gives the stream back. What is not taken now is lost when the process ends. */
  giveBack(): void {
    this.#stream.write = this.#write
    if (!this.isHeld) setBlocking(this.#stream, true)
  }
}
