/** The answers of the health API, made from what `SyncStatus` holds at the moment of the request. */
import { Clock, Effect } from "effect"
import {
  type LagLimits,
  readinessProblems,
  type RecordedHealth,
  withoutQueries
} from "../../domain/health/readiness.ts"
import { lagBlocks, lagSeconds } from "../../domain/lag.ts"
import type { AttemptError, TableStatus } from "../../domain/TableStatus.ts"
import { noThroughput, type ThroughputReport } from "../../domain/Throughput.ts"
import { VERSION } from "../../domain/version.ts"
import type { Status } from "../../services/HealthApi.ts"
import type { ActiveConfigStatus, ReloadStatus, SyncStatus } from "../../services/SyncStatus.ts"

/** Servers may report anything, of any length. */
const MAX_CHARACTERS = 1_000

const anyLag: LagLimits = { blocks: undefined, seconds: undefined }

interface Recorded extends RecordedHealth {
  readonly config: ActiveConfigStatus | undefined
  readonly reload: ReloadStatus | undefined
}

export const makeAnswers = (status: SyncStatus["Service"]) => {
  const recorded: Effect.Effect<Recorded> = Effect.all({
    config: status.config,
    tables: status.get,
    heartbeatAtMillis: status.heartbeatAtMillis,
    reload: status.reload
  })

  const problems = Effect.fnUntraced(function*(limits: LagLimits) {
    const health = yield* recorded
    const found = readinessProblems(health, limits, yield* Clock.currentTimeMillis)
    return found.map(({ code, message, sinceMillis, table }) => ({
      table: table ?? null,
      code,
      message: publicText(message, health.config),
      since: timeOf(sinceMillis)
    }))
  })

  const isReady = Effect.map(problems(anyLag), (reasons) => reasons.length === 0)

  /** Undefined where it is ready. */
  const notReady = (limits: LagLimits) =>
    Effect.map(
      problems(limits),
      (reasons) => reasons.length === 0 ? undefined : { ready: false, reasons } as const
    )

  const report = Effect.gen(function*() {
    const { config, heartbeatAtMillis, reload, tables } = yield* recorded
    const [permits, throughput, reorgs] = [yield* status.permits, yield* status.throughput, yield* status.lastReorgs]
    const reasons = yield* problems(anyLag)
    const now = yield* Clock.currentTimeMillis
    const answer: typeof Status.Type = {
      version: VERSION,
      ready: reasons.length === 0,
      reasons,
      started_at: iso(status.startedAtMillis),
      heartbeat_at: timeOf(heartbeatAtMillis),
      config: config === undefined ? null : {
        dataset: config.dataset,
        version: config.version ?? null,
        dialect: config.dialect ?? null,
        sources: config.sources ?? null,
        fingerprint: config.fingerprint,
        active_since: iso(config.atMillis)
      },
      last_reload: reload === undefined ? null : {
        outcome: reload.outcome,
        at: iso(reload.atMillis),
        reason: reload.reason === undefined ? null : publicText(reload.reason, config),
        applied: reload.applied,
        failed: reload.failed
      },
      permits: permits === undefined ? null : { total: permits.total, in_use: permits.inUse },
      throughput: throughputOf(throughput.all),
      tables: [...tables.values()].map((table) => ({
        ...reportOf(table, config, now),
        ...throughputOf(throughput.tables.get(table.table) ?? noThroughput)
      })),
      last_reorgs: reorgs.map(({ atMillis, depth, firstBlock, rowsDeleted, table }) => ({
        table,
        first_block: Number(firstBlock),
        depth: Number(depth),
        rows_deleted: rowsDeleted,
        at: iso(atMillis)
      }))
    }
    return answer
  })

  return { isReady, notReady, report }
}

const throughputOf = ({ bytesPerSecond, rowsPerSecond, samples }: ThroughputReport) => ({
  rows_per_second: rowsPerSecond,
  bytes_per_second: bytesPerSecond,
  rows_by_second: samples.map(({ rows }) => rows),
  bytes_by_second: samples.map(({ bytes }) => bytes)
})

const reportOf = (status: TableStatus, config: ActiveConfigStatus | undefined, nowMillis: number) => ({
  table: status.table,
  state: status.phase,
  reason: status.reason === undefined ? null : publicText(status.reason, config),
  since: iso(status.sinceMillis),
  watermark: numberOf(status.watermark),
  watermark_hash: status.watermarkHash ?? null,
  watermark_at: timeOf(status.watermarkMovedAtMillis),
  block_at: timeOf(millisOf(status.watermarkAtSeconds)),
  block_age_seconds: status.watermarkAtSeconds === undefined
    ? null
    : Math.max(0, Math.round(nowMillis / 1_000 - status.watermarkAtSeconds)),
  last_block: numberOf(status.lastBlock),
  source_head: numberOf(status.sourceHead?.block),
  source_head_read_at: timeOf(status.headReadAtMillis),
  lag_blocks: numberOf(lagBlocks(status)),
  lag_seconds: lagSeconds(status) ?? null,
  rows: status.hasConnected ? Number(status.rows) : null,
  provisional_rows: status.hasConnected ? Number(status.provisionalRows) : null,
  rows_committed: status.rowsCommitted,
  bytes_committed: status.bytesCommitted,
  blocks_committed: Number(status.blocksCommitted),
  chunk_rows: status.chunkRows,
  stage_seconds: {
    source: status.stages.sourceWaitMillis / 1_000,
    encode: status.stages.encodeMillis / 1_000,
    storage: status.stages.storageWaitMillis / 1_000
  },
  unverified: status.unverified,
  confirmations: status.confirmations,
  held_blocks: Number(status.held.blocks),
  held_rows: status.held.rows,
  held_bytes: status.held.bytes,
  failed_attempts: status.failedAttempts,
  retries: status.retries,
  last_error: failureOf(status.lastError, config),
  first_error: failureOf(status.firstError, config),
  reorgs: status.reorgs
})

const failureOf = (error: AttemptError | undefined, config: ActiveConfigStatus | undefined) =>
  error === undefined ? null : { message: publicText(error.message, config), at: iso(error.atMillis) }

const publicText = (message: string, config: ActiveConfigStatus | undefined): string =>
  withoutQueries(message, config?.queries ?? []).slice(0, MAX_CHARACTERS)

const iso = (millis: number): string => new Date(millis).toISOString()
const timeOf = (millis: number | undefined): string | null => millis === undefined ? null : iso(millis)
const millisOf = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : seconds * 1_000
const numberOf = (value: bigint | undefined): number | null => value === undefined ? null : Number(value)
