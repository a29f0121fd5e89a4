/** What changes the status of a table. */
import type { PhaseEvent } from "./TablePhase.ts"

/** The newest block of a network that its source has. */
export interface SourceHeadBlock {
  readonly block: bigint
  /** Unix seconds of that block, where the source reports them (amp). */
  readonly atSeconds: number | undefined
}

/** Where the time of the writer of a table went; the rest is neither, as between two attempts. */
export interface StageTimes {
  /** Nothing was there to write, or an open chunk waited for the rest: the stream had not delivered it. */
  readonly sourceWaitMillis: number
  /** Rows became COPY data. */
  readonly encodeMillis: number
  /** Waiting for a permit, a connection, a deletion, room in the socket of a COPY, or the answer to a COMMIT. */
  readonly storageWaitMillis: number
}

/** What waits for confirmations. */
export interface HeldFigures {
  readonly blocks: bigint
  readonly rows: number
  readonly bytes: number
}

/** A reorg that a commit applied. */
export interface AppliedReorg {
  readonly firstBlock: bigint
  /** Blocks that it replaced; 0 where none was known before. */
  readonly depth: bigint
  /** Hash of the newest block that was known before; undefined where none was. */
  readonly oldHash: string | undefined
  /** Hash of the last block of the range that replaced it. */
  readonly newHash: string | undefined
}

/** A transaction of a table is committed. */
export interface CommittedEvent {
  readonly _tag: "Committed"
  readonly isProgress: boolean
  readonly rowsAdded: number
  readonly rowsRemoved: number
  /** Block from which on it deleted what was there, 0 for all; undefined where it deleted nothing. */
  readonly deletedFrom: bigint | undefined
  /** Rows above the watermark after the commit. */
  readonly provisionalRows: bigint
  /** Bytes of COPY data. */
  readonly bytes: number
  readonly blocks: bigint
  readonly watermark: bigint | undefined
  readonly watermarkHash: string | undefined
  /** Unix seconds of the watermark's block, where the chunk completed it and the source reports them. */
  readonly watermarkAtSeconds?: number | undefined
  /** First and last block of the ranges in the chunk. */
  readonly firstBlock: bigint | undefined
  readonly lastBlock: bigint | undefined
  /** Block of the last row of the chunk; undefined where it has none. */
  readonly lastRow: bigint | undefined
  /** Those of the chunk, in the order of the stream. */
  readonly reorgs: ReadonlyArray<AppliedReorg>
  readonly unverified: boolean
  /** From the first event of the chunk to its commit, without the time of waiting for the source. */
  readonly elapsedMillis: number
  /** Rows that the next chunk should have. */
  readonly chunkRows: number
  /** Times since the last ones were reported. */
  readonly stages?: StageTimes | undefined
}

/** An event of a table; phase events carry figures where they change them. */
export type StatusEvent =
  | Exclude<PhaseEvent, { readonly _tag: "Connected" | "Committed" | "Failed" }>
  | {
    readonly _tag: "Connected"
    /** Commits of the table so far, also those of other processes. */
    readonly commitSeq: bigint
    readonly rows: bigint
    readonly provisionalRows: bigint
    readonly watermark: bigint | undefined
    readonly watermarkHash: string | undefined
    readonly unverified: boolean
    /** Blocks that must be on top of rows before they are written; none where absent. */
    readonly confirmations?: number
  }
  | CommittedEvent
  | (Extract<PhaseEvent, { readonly _tag: "Failed" }> & {
    /** Rows that the next chunk should have, where the failure changed that. */
    readonly chunkRows?: number | undefined
  })
  /** Nothing else happened. */
  | { readonly _tag: "TimePassed"; readonly stages: StageTimes }
  | {
    readonly _tag: "HeadRead"
    readonly head: SourceHeadBlock
    /** When it was asked for, where the answer took time; Unix milliseconds. */
    readonly askedAtMillis?: number | undefined
  }
  | { readonly _tag: "HeldChanged"; readonly held: HeldFigures }
