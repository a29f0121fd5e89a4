/** The lines of a recording: what a soak writes down while it runs, one JSON value per line. */
import { readFileSync } from "node:fs"

export interface Start {
  readonly kind: "start"
  readonly at: string
  readonly command: string
  readonly seed: number
  readonly minutes: number
  readonly tables: ReadonlyArray<string>
  readonly retentionBlocks: number
}

/** Seconds count from the start; sizes are bytes. A figure that this machine cannot measure is missing. */
export interface Sample {
  readonly kind: "sample"
  readonly seconds: number
  readonly rss?: number
  readonly heap?: number
  readonly external?: number
  readonly descriptors?: number
  readonly cpuSeconds?: number
  readonly loopDelaySeconds?: number
  readonly connections: number
  readonly lagBlocks: number
  readonly block: number
  readonly rows: number
  readonly reorgs: number
  /** Rows of each bookkeeping table. */
  readonly bookkeepingRows: Readonly<Record<string, number>>
  readonly bookkeepingBytes: number
  readonly deadRows: number
  /** Memory of the machine itself, with the simulator. */
  readonly ownRss: number
}

export interface Done {
  readonly kind: "action"
  readonly seconds: number
  readonly name: string
}

export interface End {
  readonly kind: "end"
  readonly seconds: number
  /** What was wrong, one sentence each: tables that differ from the chain, a process that ended by itself. */
  readonly violations: ReadonlyArray<string>
  readonly rowsCompared: number
  /** What the readers of the health endpoints received. */
  readonly answers: number
  readonly events: number
}

export type Line = Start | Sample | Done | End

export interface Recording {
  readonly start: Start
  readonly samples: ReadonlyArray<Sample>
  readonly actions: ReadonlyArray<Done>
  /** Undefined while it runs, and when it was killed. */
  readonly end: End | undefined
}

/** Reads a recording, also one that is still written: a last line without its end is left out. */
export const readRecording = (path: string): Recording => {
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line)
  const [start] = lines
  if (start?.kind !== "start") {
    throw new Error(`${path} is not the recording of a soak: it does not begin with its start`)
  }
  return {
    start,
    samples: lines.filter((line) => line.kind === "sample"),
    actions: lines.filter((line) => line.kind === "action"),
    end: lines.find((line) => line.kind === "end")
  }
}
