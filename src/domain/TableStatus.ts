/** The status of one table: its phase and its figures, as a pure function of its events. */
import { nextPhase, type PhaseEvent, type TablePhase } from "./TablePhase.ts"

/** The newest block of a network that its source has. */
export interface SourceHeadBlock {
  readonly block: bigint
  /** Unix seconds of that block, where the source reports them (amp). */
  readonly atSeconds: number | undefined
}

/** The phase and the progress of one table, as this process sees them. */
export interface TableStatus extends TablePhase {
  readonly table: string
  /** Rows in the table, provisional ones included. */
  readonly rows: bigint
  /** Rows and blocks committed by this process. */
  readonly rowsCommitted: number
  readonly blocksCommitted: bigint
  readonly watermark: bigint | undefined
  /** Last block of the newest range of which rows are committed. */
  readonly lastBlock: bigint | undefined
  /** Undefined until it is read, and where it cannot be read. */
  readonly sourceHead: SourceHeadBlock | undefined
  readonly reorgs: number
  readonly unverified: boolean
}

/** An event of a table; phase events carry figures where they change them. */
export type StatusEvent =
  | Exclude<PhaseEvent, { readonly _tag: "Connected" | "Committed" }>
  | {
    readonly _tag: "Connected"
    readonly rows: bigint
    readonly watermark: bigint | undefined
    readonly unverified: boolean
  }
  | {
    readonly _tag: "Committed"
    readonly isProgress: boolean
    readonly rowsAdded: number
    readonly rowsRemoved: number
    readonly blocks: bigint
    readonly watermark: bigint | undefined
    readonly lastBlock: bigint | undefined
    readonly reorgs: number
    readonly unverified: boolean
  }
  | { readonly _tag: "HeadRead"; readonly head: SourceHeadBlock }

/** The status of a table before its first event. */
export const initialStatus = (table: string): TableStatus => ({
  table,
  phase: "starting",
  reason: undefined,
  rows: 0n,
  rowsCommitted: 0,
  blocksCommitted: 0n,
  watermark: undefined,
  lastBlock: undefined,
  sourceHead: undefined,
  reorgs: 0,
  unverified: false
})

/** The status after `event`. */
export const nextStatus = (status: TableStatus, event: StatusEvent): TableStatus => {
  switch (event._tag) {
    case "HeadRead":
      return { ...status, sourceHead: event.head }
    case "Connected": {
      const { rows, unverified, watermark } = event
      return { ...status, ...nextPhase(status, event), rows, unverified, watermark }
    }
    case "Committed":
      return {
        ...status,
        ...nextPhase(status, event),
        rows: status.rows + BigInt(event.rowsAdded - event.rowsRemoved),
        rowsCommitted: status.rowsCommitted + event.rowsAdded,
        blocksCommitted: status.blocksCommitted + event.blocks,
        watermark: event.watermark,
        lastBlock: event.lastBlock ?? status.lastBlock,
        reorgs: status.reorgs + event.reorgs,
        unverified: event.unverified
      }
    default:
      return { ...status, ...nextPhase(status, event) }
  }
}

/** Blocks between what is committed and the source's head; undefined where the head is not known. */
export const lagBlocks = ({ lastBlock, sourceHead, watermark }: TableStatus): bigint | undefined => {
  if (sourceHead === undefined) return undefined
  const committed = [lastBlock, watermark].reduce<bigint>(
    (max, block) => block !== undefined && block > max ? block : max,
    -1n
  )
  return sourceHead.block > committed ? sourceHead.block - committed : 0n
}
