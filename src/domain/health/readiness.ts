/** Whether a sync does its work, from what it recorded of itself: everything that is not known counts against it. */
import { HEARTBEAT_LIFETIME_SECONDS } from "../bookkeeping/leaseConditions.ts"
import { lagBlocks, lagSeconds } from "../lag.ts"
import type { TableStatus } from "../TableStatus.ts"

/** What readiness is decided from. Times are Unix milliseconds. */
export interface RecordedHealth {
  /** The tables of the active config; undefined where no config is active. */
  readonly config: { readonly tables: ReadonlyArray<string> } | undefined
  readonly tables: ReadonlyMap<string, TableStatus>
  /** When the database last recorded a heartbeat of this process. */
  readonly heartbeatAtMillis: number | undefined
}

/** The largest lag that is acceptable; undefined accepts any, known or not. */
export interface LagLimits {
  readonly blocks: number | undefined
  readonly seconds: number | undefined
}

export const noReadyReasons = [
  "no active config",
  "not started",
  "offline",
  "standby",
  "diverged",
  "stalled",
  "parked",
  "source behind",
  "lag exceeded",
  "lag unknown"
] as const

export interface NotReady {
  /** Undefined where it concerns the whole process. */
  readonly table: string | undefined
  readonly code: (typeof noReadyReasons)[number]
  readonly message: string
  /** When it began, where that is known. */
  readonly sinceMillis: number | undefined
}

/** Other processes take over then, and `_ampsync_progress` shows `offline`. */
const HEARTBEAT_LIFETIME_MILLIS = 1_000 * HEARTBEAT_LIFETIME_SECONDS
/** The source is asked every 15 seconds while a table is up to date, and has 20 seconds to answer. */
const HEAD_LIFETIME_MILLIS = 60_000

/** Every reason why the process is not ready, one per table; none where it is. */
export const readinessProblems = (
  health: RecordedHealth,
  limits: LagLimits,
  nowMillis: number
): ReadonlyArray<NotReady> => {
  const { config, heartbeatAtMillis, tables } = health
  const names = [...new Set([...config?.tables ?? [], ...tables.keys()])]
  const isOffline = heartbeatAtMillis === undefined || nowMillis - heartbeatAtMillis > HEARTBEAT_LIFETIME_MILLIS
  const ofTables = names.flatMap((table) => {
    const status = tables.get(table)
    if (status === undefined) return notReady(table, "not started", `table '${table}' has not reported anything yet`)
    const ofPhase = phaseProblem(status)
    if (ofPhase !== undefined) return ofPhase
    // The lag is that of the process that writes.
    if (status.isReserve && !isOffline) return []
    if (isOffline) return offline(table, heartbeatAtMillis, nowMillis)
    return sourceProblem(status) ?? lagProblem(status, limits, nowMillis) ?? []
  })
  if (config !== undefined && names.length > 0) return ofTables
  const message = "no config is active: the process is starting, or it is being stopped"
  return [notReady(undefined, "no active config", message), ...ofTables]
}

const notReady = (
  table: string | undefined,
  code: NotReady["code"],
  message: string,
  sinceMillis?: number
): NotReady => ({ table, code, message, sinceMillis })

const because = ({ reason }: TableStatus): string => reason === undefined ? "" : `: ${reason}`

const phaseProblem = (status: TableStatus): NotReady | undefined => {
  const { phase, sinceMillis, table } = status
  switch (phase) {
    case "parked":
    case "stalled":
      return notReady(table, phase, `table '${table}' is ${phase}${because(status)}`, sinceMillis)
    case "diverged":
      return notReady(table, phase, `table '${table}' has diverged${because(status)}`, sinceMillis)
    case "standby":
      return status.isReserve
        ? undefined
        : notReady(table, phase, `another process writes table '${table}'${because(status)}`, sinceMillis)
    default:
      // A failure before the first stream is no more than a start that takes long.
      return phase === "starting" || !status.hasConnected
        ? notReady(table, "not started", `table '${table}' has not started yet${because(status)}`, sinceMillis)
        : undefined
  }
}

const offline = (table: string, heartbeatAtMillis: number | undefined, nowMillis: number): NotReady =>
  notReady(
    table,
    "offline",
    heartbeatAtMillis === undefined
      ? `the database has no heartbeat of this process yet, so it does not count as the writer of table '${table}'`
      : `the last heartbeat that the database recorded is ${seconds(nowMillis - heartbeatAtMillis)} s old: ` +
        `table '${table}' counts as offline, and another process may take it over`,
    heartbeatAtMillis
  )

/** Rows that the source does not have must not count as up to date until `diverged` confirms it. */
const sourceProblem = ({ sourceBehindSinceMillis, sourceHead, table, watermark }: TableStatus): NotReady | undefined =>
  sourceBehindSinceMillis === undefined ? undefined : notReady(
    table,
    "source behind",
    `the source of table '${table}' ends with block ${sourceHead?.block}, and the table is complete up to block ` +
      `${watermark}: its chain became shorter, or this server is behind another one`,
    sourceBehindSinceMillis
  )

const seconds = (millis: number): number => Math.round(millis / 1_000)

/** A head that was read long ago proves a lag, never that there is none. */
const lagProblem = (status: TableStatus, limits: LagLimits, nowMillis: number): NotReady | undefined => {
  const { headReadAtMillis, table } = status
  const measured = [
    { unit: "blocks", lag: numberOf(lagBlocks(status)), limit: limits.blocks, parameter: "max_lag_blocks" },
    { unit: "seconds", lag: lagSeconds(status), limit: limits.seconds, parameter: "max_lag_seconds" }
  ].filter(({ limit }) => limit !== undefined)
  for (const { lag, limit, parameter, unit } of measured) {
    if (lag === undefined || limit === undefined || lag <= limit) continue
    const message = `table '${table}' is ${lag} ${unit} behind the source, ${parameter} is ${limit}`
    return notReady(table, "lag exceeded", message)
  }
  const [first] = measured
  if (first === undefined) return undefined
  if (headReadAtMillis === undefined) {
    return notReady(table, "lag unknown", `the head of the source of table '${table}' has not been read yet`)
  }
  if (nowMillis - headReadAtMillis > HEAD_LIFETIME_MILLIS) {
    const age = seconds(nowMillis - headReadAtMillis)
    const message = `the head of the source of table '${table}' was last read ${age} s ago`
    return notReady(table, "lag unknown", message, headReadAtMillis)
  }
  if (measured.some(({ lag }) => lag === undefined)) {
    const message =
      `the lag of table '${table}' in seconds is not known: the time of its watermark or of the source's head is ` +
      "not (nozzle servers report no times, and after a start the first commit brings that of the watermark); " +
      "max_lag_blocks needs none"
    return notReady(table, "lag unknown", message)
  }
  return undefined
}

const numberOf = (blocks: bigint | undefined): number | undefined => blocks === undefined ? undefined : Number(blocks)

/** Removes the texts of queries from a message: a server may repeat one in its answer. */
export const withoutQueries = (message: string, queries: ReadonlyArray<string>): string =>
  queries.toSorted((a, b) => b.length - a.length)
    .reduce((text, query) => query === "" ? text : text.replaceAll(query, "(query)"), message)
