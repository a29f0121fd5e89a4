/** The status of one table: its phase and its figures, as a pure function of its events. */
import { initialChunkSize } from "./ChunkSize.ts"
import type { CommittedEvent, HeldFigures, SourceHeadBlock, StageTimes, StatusEvent } from "./StatusEvent.ts"
import { nextPhase, type TablePhase } from "./TablePhase.ts"

/** Why an attempt failed, and when. */
export interface AttemptError {
  /** The first cause: what failed because of it is not in it. */
  readonly message: string
  readonly atMillis: number
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
  /** Rows above the watermark. */
  readonly provisionalRows: bigint
  /** Rows, bytes of COPY data and blocks committed by this process. */
  readonly rowsCommitted: number
  readonly bytesCommitted: number
  readonly blocksCommitted: bigint
  readonly watermark: bigint | undefined
  /** Hash of the watermark's block. */
  readonly watermarkHash: string | undefined
  /** When this process last committed another watermark. */
  readonly watermarkMovedAtMillis: number | undefined
  /** Unix seconds of the watermark's block, where the source reports them (amp) and this process committed it. */
  readonly watermarkAtSeconds: number | undefined
  /** Last block of the newest range of which rows are committed. */
  readonly lastBlock: bigint | undefined
  /** Block of the last row that was committed on this connection. */
  readonly lastRow: bigint | undefined
  /** Undefined until it is read, and where it cannot be read. */
  readonly sourceHead: SourceHeadBlock | undefined
  readonly headReadAtMillis: number | undefined
  /**
   * Since when the source is known to end more than `SERVERS_APART` blocks below the watermark: no commit moved the watermark
   * since it was read. Undefined where it does not.
   */
  readonly sourceBehindSinceMillis: number | undefined
  /** Failed attempts in a row without progress, as of the last failure. */
  readonly failedAttempts: number
  /** Attempts that failed since the start of the process, and were followed by another. */
  readonly retries: number
  readonly lastError: AttemptError | undefined
  /** The first error since the last progress: later ones may be its consequences. Undefined where there was none. */
  readonly firstError: AttemptError | undefined
  /** Rows that a chunk should have now. */
  readonly chunkRows: number
  /** Reorgs applied by this process. */
  readonly reorgs: number
  readonly unverified: boolean
  /** Blocks that must be on top of rows before they are written. */
  readonly confirmations: number
  /** What was received and waits for that. */
  readonly held: HeldFigures
  /** Totals of this process. */
  readonly stages: StageTimes
}

const nothingHeld: HeldFigures = { blocks: 0n, rows: 0, bytes: 0 }

/** The status of a table before its first event. */
export const initialStatus = (table: string, atMillis: number): TableStatus => ({
  table,
  phase: "starting",
  reason: undefined,
  isReserve: false,
  beneath: undefined,
  sinceMillis: atMillis,
  hasConnected: false,
  rows: 0n,
  provisionalRows: 0n,
  rowsCommitted: 0,
  bytesCommitted: 0,
  blocksCommitted: 0n,
  watermark: undefined,
  watermarkHash: undefined,
  watermarkMovedAtMillis: undefined,
  watermarkAtSeconds: undefined,
  lastBlock: undefined,
  lastRow: undefined,
  sourceHead: undefined,
  headReadAtMillis: undefined,
  sourceBehindSinceMillis: undefined,
  failedAttempts: 0,
  retries: 0,
  lastError: undefined,
  firstError: undefined,
  chunkRows: initialChunkSize.rows,
  reorgs: 0,
  unverified: false,
  confirmations: 0,
  held: nothingHeld,
  stages: { sourceWaitMillis: 0, encodeMillis: 0, storageWaitMillis: 0 }
})

/** The status after an event that happened at `atMillis`. */
export const nextStatus = (status: TableStatus, event: StatusEvent, atMillis: number): TableStatus => {
  const next = applyEvent(status, event, atMillis)
  return next.phase === status.phase ? next : { ...next, sinceMillis: atMillis }
}

const applyEvent = (status: TableStatus, event: StatusEvent, atMillis: number): TableStatus => {
  switch (event._tag) {
    case "HeadRead": {
      // An answer that took long may be older than the watermark.
      const isNewer = (status.watermarkMovedAtMillis ?? -Infinity) < (event.askedAtMillis ?? atMillis)
      const sourceBehindSinceMillis = isNewer && isBelow(event.head, status.watermark)
        ? status.sourceBehindSinceMillis ?? atMillis
        : undefined
      return { ...status, sourceHead: event.head, headReadAtMillis: atMillis, sourceBehindSinceMillis }
    }
    case "TimePassed":
      return { ...status, stages: addTimes(status.stages, event.stages) }
    case "HeldChanged":
      return { ...status, held: event.held }
    case "Started":
      return {
        ...status,
        ...nextPhase(status, event),
        hasConnected: false,
        failedAttempts: 0,
        firstError: undefined,
        held: nothingHeld
      }
    case "Connected": {
      const { confirmations = 0, provisionalRows, rows, unverified, watermark, watermarkHash } = event
      return {
        ...status,
        ...nextPhase(status, event),
        hasConnected: true,
        rows,
        provisionalRows,
        unverified,
        watermark,
        watermarkHash,
        watermarkAtSeconds: timeOf(status, watermark),
        sourceBehindSinceMillis: watermark === status.watermark ? status.sourceBehindSinceMillis : undefined,
        confirmations,
        held: nothingHeld,
        lastRow: undefined
      }
    }
    case "Committed":
      return afterCommit({ ...status, ...nextPhase(status, event) }, event, atMillis)
    case "CaughtUp":
      return { ...status, ...nextPhase(status, event), failedAttempts: 0, firstError: undefined }
    case "Failed": {
      const error = { message: event.reason, atMillis }
      return {
        ...status,
        ...nextPhase(status, event),
        failedAttempts: event.attempts,
        retries: status.retries + 1,
        chunkRows: event.chunkRows ?? status.chunkRows,
        lastError: error,
        firstError: status.firstError ?? error,
        held: nothingHeld
      }
    }
    case "StandingBy":
      return { ...status, ...nextPhase(status, event), held: nothingHeld }
    case "Parked": {
      const error = { message: event.reason, atMillis }
      return {
        ...status,
        ...nextPhase(status, event),
        lastError: error,
        firstError: status.firstError ?? error,
        held: nothingHeld
      }
    }
    default:
      return { ...status, ...nextPhase(status, event) }
  }
}

const afterCommit = (
  status: TableStatus,
  event: CommittedEvent,
  atMillis: number
): TableStatus => {
  const { watermark, watermarkHash } = event
  const isMoved = watermark !== status.watermark || watermarkHash !== status.watermarkHash
  return {
    ...status,
    rows: status.rows + BigInt(event.rowsAdded - event.rowsRemoved),
    provisionalRows: event.provisionalRows,
    rowsCommitted: status.rowsCommitted + event.rowsAdded,
    bytesCommitted: status.bytesCommitted + event.bytes,
    blocksCommitted: status.blocksCommitted + event.blocks,
    watermark,
    watermarkHash,
    watermarkMovedAtMillis: isMoved ? atMillis : status.watermarkMovedAtMillis,
    // The head was read before this commit, and what moved the watermark came from the source.
    sourceBehindSinceMillis: isMoved ? undefined : status.sourceBehindSinceMillis,
    watermarkAtSeconds: event.watermarkAtSeconds ?? timeOf(status, watermark),
    lastBlock: event.lastBlock ?? status.lastBlock,
    lastRow: event.lastRow ?? status.lastRow,
    failedAttempts: event.isProgress ? 0 : status.failedAttempts,
    firstError: event.isProgress ? undefined : status.firstError,
    chunkRows: event.chunkRows,
    reorgs: status.reorgs + event.reorgs.length,
    unverified: event.unverified,
    stages: event.stages === undefined ? status.stages : addTimes(status.stages, event.stages)
  }
}

const addTimes = (a: StageTimes, b: StageTimes): StageTimes => ({
  sourceWaitMillis: a.sourceWaitMillis + b.sourceWaitMillis,
  encodeMillis: a.encodeMillis + b.encodeMillis,
  storageWaitMillis: a.storageWaitMillis + b.storageWaitMillis
})

/** The time of the block of `watermark`, where it is the one that was there. */
const timeOf = (status: TableStatus, watermark: bigint | undefined): number | undefined =>
  watermark === status.watermark ? status.watermarkAtSeconds : undefined

/** Servers behind a balancer may be so many blocks apart: a head that is lower by no more proves nothing. */
const SERVERS_APART = 2n

const isBelow = (head: SourceHeadBlock, watermark: bigint | undefined): boolean =>
  watermark !== undefined && head.block + SERVERS_APART < watermark
