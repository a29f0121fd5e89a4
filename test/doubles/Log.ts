/** A logger that keeps the texts of its lines for a test to read. */
import { Layer, Logger } from "effect"

export interface RecordedLog {
  readonly layer: Layer.Layer<never>
  /** Oldest first. */
  readonly lines: ReadonlyArray<string>
}

/** Calls `onLine` after each line. */
export const recordedLog = (onLine: () => void = () => {}): RecordedLog => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>(({ message }) => {
    lines.push([message].flat().join(" "))
    onLine()
  })
  return { lines, layer: Logger.layer([logger]) }
}
