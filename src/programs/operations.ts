/** What an operator does to a table, from code: the verbs `resync` and `rewind` without questions. */
import { Effect, Layer, Ref } from "effect"
import type { SqlError } from "effect/sql"
import {
  databaseLayer,
  databaseLayerFrom,
  layer as configFromEnvironment,
  layerFrom as configFrom,
  type SettingValues
} from "../layers/Config.ts"
import type { ConfigError } from "../services/Config.ts"
import type { Replaced } from "../services/TableExchange.ts"
import type { TableHeld, TableRejected } from "../services/TableLeases.ts"
import type { Rewound } from "../services/TableSink.ts"
import { exchangeServices } from "./ampsync.ts"
import type { StartError } from "./Replacements.ts"
import { sendHeartbeats } from "./report/sendHeartbeats.ts"
import { databaseServices } from "./verbs/removal.ts"
import { emptyTable, type ResyncFailed } from "./verbs/resync.ts"
import { exchangeOnline, type OnlineStage, resyncTarget } from "./verbs/resync/online.ts"
import { failOnline, type OnlineResyncFailed } from "./verbs/resync/resyncOnline.ts"
import type { OnlineResyncUnknown } from "./verbs/resync/settle.ts"
import { rewindTable } from "./verbs/rewind.ts"

export interface OperationOptions {
  /** Under the names and rules of the environment, which is not read then; by default those of the current ConfigProvider. */
  readonly settings?: SettingValues
}

/**
 * Why a table is not rewound or resynced. `TableHeld`: a process writes it. `TableRejected`: it cannot be done, for its `reason`.
 * `SqlError`: of the database; one that is retryable leaves open whether the change was made, and it may be repeated.
 */
export type OperationError = ConfigError | SqlError.SqlError | TableHeld | TableRejected

/** Where the app has a sync, its services are not those of an operation: that would pass for the process that writes the table. */
const apart = { local: true } as const

/** On connections of its own, which need the settings of the database alone. */
const onDatabase = ({ settings }: OperationOptions) =>
  Layer.provide(databaseServices, settings === undefined ? databaseLayer : databaseLayerFrom(settings))

/**
 * Deletes the rows of a table above the newest watermark at or below `toBlock`, with their watermarks, in one transaction; the
 * next start reads them again. No process may write the table, this one included.
 */
export const rewind = (
  { table, toBlock, ...options }: OperationOptions & { readonly table: string; readonly toBlock: bigint }
): Effect.Effect<Rewound, OperationError> =>
  rewindTable(table, toBlock).pipe(Effect.scoped, Effect.provide(onDatabase(options), apart))

/**
 * Deletes all rows of a table, so that the next start fills it from the first block; returns their number. No process may write
 * the table, this one included. After its first transaction it may end anywhere (`ResyncFailed`): the next start deletes the rest.
 */
export const resync = (
  { table, ...options }: OperationOptions & { readonly table: string }
): Effect.Effect<number, OperationError | ResyncFailed> =>
  Effect.andThen(sendHeartbeats(Effect.void), emptyTable(table, Effect.logInfo, (transaction) => transaction)).pipe(
    Effect.scoped,
    Effect.provide(onDatabase(options), apart)
  )

/**
 * Fills a table again while it is used, by the query of the config as it is now: a second table is filled, and the rows that
 * differ are replaced in one transaction. Undefined where that succeeded and its numbers are lost with the answer to its COMMIT.
 */
export const resyncOnline = (
  { settings, table }: OperationOptions & { readonly table: string }
): Effect.Effect<Replaced | undefined, OnlineResyncFailed | OnlineResyncUnknown | StartError> =>
  Effect.gen(function*() {
    const stage = yield* Ref.make<OnlineStage>("begun")
    const target = yield* resyncTarget(table)
    return yield* exchangeOnline(target, stage, Effect.logInfo)
  }).pipe(
    Effect.catch(failOnline(table)),
    Effect.provide(
      Layer.provideMerge(exchangeServices, settings === undefined ? configFromEnvironment : configFrom(settings)),
      apart
    )
  )
