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
  /** When the phase began; Unix milliseconds, as every time here whose name ends in `Millis`. */
  readonly sinceMillis: number
  /** A stream of it was open since it was last started; until then `rows` and `watermark` are not read yet. */
  readonly hasConnected: boolean
  /** Rows in the table, provisional ones included. */
  readonly rows: bigint
  /** Rows and blocks committed by this process. */
  readonly rowsCommitted: number
  readonly blocksCommitted: bigint
  readonly watermark: bigint | undefined
  /** Unix seconds of the watermark's block, where the source reports them (amp) and this process committed it. */
  readonly watermarkAtSeconds: number | undefined
  /** Last block of the newest range of which rows are committed. */
  readonly lastBlock: bigint | undefined
  /** Undefined until it is read, and where it cannot be read. */
  readonly sourceHead: SourceHeadBlock | undefined
  readonly headReadAtMillis: number | undefined
  /** Failed attempts in a row without progress, as of the last failure. */
  readonly failedAttempts: number
  readonly lastError: { readonly message: string; readonly atMillis: number } | undefined
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
    /** Unix seconds of the watermark's block, where the chunk completed it and the source reports them. */
    readonly watermarkAtSeconds?: number | undefined
    readonly lastBlock: bigint | undefined
    readonly reorgs: number
    readonly unverified: boolean
  }
  | { readonly _tag: "HeadRead"; readonly head: SourceHeadBlock }

/** The status of a table before its first event. */
export const initialStatus = (table: string, atMillis: number): TableStatus => ({
  table,
  phase: "starting",
  reason: undefined,
  sinceMillis: atMillis,
  hasConnected: false,
  rows: 0n,
  rowsCommitted: 0,
  blocksCommitted: 0n,
  watermark: undefined,
  watermarkAtSeconds: undefined,
  lastBlock: undefined,
  sourceHead: undefined,
  headReadAtMillis: undefined,
  failedAttempts: 0,
  lastError: undefined,
  reorgs: 0,
  unverified: false
})

/** The status after an event that happened at `atMillis`. */
export const nextStatus = (status: TableStatus, event: StatusEvent, atMillis: number): TableStatus => {
  const next = applyEvent(status, event, atMillis)
  return next.phase === status.phase ? next : { ...next, sinceMillis: atMillis }
}

const applyEvent = (status: TableStatus, event: StatusEvent, atMillis: number): TableStatus => {
  switch (event._tag) {
    case "HeadRead":
      return { ...status, sourceHead: event.head, headReadAtMillis: atMillis }
    case "Started":
      return { ...status, ...nextPhase(status, event), hasConnected: false, failedAttempts: 0 }
    case "Connected": {
      const { rows, unverified, watermark } = event
      const watermarkAtSeconds = timeOf(status, watermark)
      return {
        ...status,
        ...nextPhase(status, event),
        hasConnected: true,
        rows,
        unverified,
        watermark,
        watermarkAtSeconds
      }
    }
    case "Committed":
      return {
        ...status,
        ...nextPhase(status, event),
        rows: status.rows + BigInt(event.rowsAdded - event.rowsRemoved),
        rowsCommitted: status.rowsCommitted + event.rowsAdded,
        blocksCommitted: status.blocksCommitted + event.blocks,
        watermark: event.watermark,
        watermarkAtSeconds: event.watermarkAtSeconds ?? timeOf(status, event.watermark),
        lastBlock: event.lastBlock ?? status.lastBlock,
        failedAttempts: event.isProgress ? 0 : status.failedAttempts,
        reorgs: status.reorgs + event.reorgs,
        unverified: event.unverified
      }
    case "CaughtUp":
      return { ...status, ...nextPhase(status, event), failedAttempts: 0 }
    case "Failed":
      return {
        ...status,
        ...nextPhase(status, event),
        failedAttempts: event.attempts,
        lastError: { message: event.reason, atMillis }
      }
    case "Parked":
      return { ...status, ...nextPhase(status, event), lastError: { message: event.reason, atMillis } }
    default:
      return { ...status, ...nextPhase(status, event) }
  }
}

/** The time of the block of `watermark`, where it is the one that was there. */
const timeOf = (status: TableStatus, watermark: bigint | undefined): number | undefined =>
  watermark === status.watermark ? status.watermarkAtSeconds : undefined

/** Blocks between what is committed and the source's head; undefined where the head is not known. */
export const lagBlocks = ({ lastBlock, sourceHead, watermark }: TableStatus): bigint | undefined => {
  if (sourceHead === undefined) return undefined
  const committed = [lastBlock, watermark].reduce<bigint>(
    (max, block) => block !== undefined && block > max ? block : max,
    -1n
  )
  return sourceHead.block > committed ? sourceHead.block - committed : 0n
}

/** Seconds between the times of the table's watermark and of the source's head; undefined where one of them is not known. */
export const lagSeconds = (status: TableStatus): number | undefined => {
  if (lagBlocks(status) === 0n) return 0
  const { sourceHead, watermarkAtSeconds } = status
  if (sourceHead?.atSeconds === undefined || watermarkAtSeconds === undefined) return undefined
  return Math.max(0, sourceHead.atSeconds - watermarkAtSeconds)
}
