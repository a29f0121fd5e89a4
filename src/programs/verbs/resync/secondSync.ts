/** The sync of one table into its second table. */
import { Context, Effect, Layer, Option, Schedule, Stream } from "effect"
import { datasetId } from "../../../domain/manifest/Dataset.ts"
import type { TableSpec } from "../../../domain/manifest/TableSpec.ts"
import { formatCount } from "../../../domain/numbers.ts"
import type { TableStatus } from "../../../domain/TableStatus.ts"
import { Bookkeeping } from "../../../services/Bookkeeping.ts"
import { Checkpoints } from "../../../services/Checkpoints.ts"
import { SyncConfig } from "../../../services/Config.ts"
import { StatusRecorder, SyncStatus } from "../../../services/SyncStatus.ts"
import { TableExchange } from "../../../services/TableExchange.ts"
import { TableHeld, TableLeases, TableRejected } from "../../../services/TableLeases.ts"
import type { TableRequest } from "../../../services/TableSink.ts"
import { servicesIn } from "../../ampsync.ts"
import type { ActiveConfig } from "../../reload/ActiveConfig.ts"
import { sendHeartbeats } from "../../report/sendHeartbeats.ts"
import { makeTableFibers } from "../../table/tableFibers.ts"

/** A table to resync, and how a sync with the config as it is now would fill it. */
export interface ResyncTarget {
  readonly active: ActiveConfig
  readonly table: TableSpec
  readonly request: TableRequest
}

/** Prints or logs one line. */
export type Report = (line: string) => Effect.Effect<void>

export const ownerOf = ({ active, table }: ResyncTarget) => ({
  table: table.name,
  dataset: datasetId(active.manifest.dataset)
})

const PROGRESS_INTERVAL = "5 seconds"

/** The config with this table alone; its indexes are those of the table that stays. */
const only = ({ active, table }: ResyncTarget): ActiveConfig => {
  const tables = [{ ...table, settings: { ...table.settings, indexes: [] } }]
  return { ...active, config: { ...active.config, tables }, manifest: { ...active.manifest, tables } }
}

/** Makes the schema of the second table, and reserves the table; what an earlier query left in it is deleted. */
const prepareSecond = Effect.fnUntraced(function*(target: ResyncTarget, report: Report) {
  const [bookkeeping, checkpoints] = [yield* Bookkeeping, yield* Checkpoints]
  const [exchange, leases] = [yield* TableExchange, yield* TableLeases]
  const { request, table: { name } } = target
  const claim = Effect.gen(function*() {
    yield* bookkeeping.ensure
    const writer = yield* leases.reserve([ownerOf(target)])
    if (writer !== undefined) return yield* new TableHeld({ table: name, writer })
  })
  yield* claim
  const { recorded, watermark } = Option.getOrUndefined(yield* checkpoints.load(name)) ?? {}
  const isOther = recorded !== undefined &&
    (recorded.fingerprint !== request.fingerprint || isOtherVersion(recorded.version, request.version))
  if (isOther) {
    yield* exchange.dropSecond(name)
    yield* claim
  }
  const place = `second table in schema "${exchange.schemaOf(name)}"`
  yield* report(
    watermark === undefined || isOther
      ? `Table "${name}": filling a ${place}; the table itself stays as it is.`
      : `Table "${name}": its ${place} is complete up to block ${watermark.block}; it is continued.`
  )
})

/** What is not known on one side is no difference. */
const isOtherVersion = (before: string | undefined, now: string | undefined): boolean =>
  before !== undefined && now !== undefined && before !== now

const progressOf = ({ rows, sourceHead, watermark }: TableStatus): string =>
  `  complete up to block ${watermark === undefined ? "none" : formatCount(watermark)}` +
  `${sourceHead === undefined ? "" : ` of ${formatCount(sourceHead.block)}`}, ${formatCount(rows)} rows`

/**
 * Syncs the table into its second table for as long as the scope is open. Returns an effect that waits until all that the
 * source has is committed there, and fails where the table is parked.
 */
export const startSecondSync = Effect.fnUntraced(function*(target: ResyncTarget, report: Report) {
  const { name } = target.table
  const { schemaOf } = yield* TableExchange
  const second = yield* Layer.build(servicesIn(schemaOf(name)))
  yield* Effect.gen(function*() {
    yield* prepareSecond(target, report)
    yield* sendHeartbeats(Effect.void)
    const [status, tables] = [yield* StatusRecorder, yield* makeTableFibers]
    yield* status.begin([name])
    yield* tables.apply(only(target))
  }).pipe(
    Effect.provideContext(second),
    Effect.updateService(SyncConfig, (settings) => ({ ...settings, standby: false }))
  )
  const { changes, get } = Context.get(second, SyncStatus)
  const current = Effect.map(get, (all) => all.get(name))
  yield* Effect.flatMap(
    current,
    (status) => status === undefined || status.phase === "caught up" ? Effect.void : report(progressOf(status))
  ).pipe(Effect.delay(PROGRESS_INTERVAL), Effect.repeat(Schedule.forever), Effect.forkScoped)
  return changes.pipe(
    Stream.map((all) => all.get(name)),
    Stream.filter((status) => status?.phase === "caught up" || status?.phase === "parked"),
    Stream.runHead,
    Effect.flatMap((found) => {
      const status = Option.getOrUndefined(found)
      return status?.phase === "parked"
        ? Effect.fail(new TableRejected({ table: name, reason: status.reason ?? "unknown" }))
        : Effect.void
    })
  )
}, (effect, { table: { name } }) =>
  // The lines of a sync are the same for both tables.
  Effect.flatMap(TableExchange, ({ schemaOf }) => Effect.annotateLogs(effect, "schema", schemaOf(name))))
