/** A process with STANDBY takes either all tables of its config or none: of two such processes one works. */
import { Effect } from "effect"
import { cachedFor } from "../../domain/elapsed.ts"
import { datasetId } from "../../domain/manifest/Dataset.ts"
import { SyncConfig } from "../../services/Config.ts"
import { TableLeases } from "../../services/TableLeases.ts"
import type { ActiveConfig } from "../reload/ActiveConfig.ts"
import type { SharedByTables } from "./TableSession.ts"

/** Why a table of this process stands by. */
export const reserveFor = (writer: string): string =>
  `${writer} is at work, and this process takes over all tables when it falls silent (STANDBY)`

/** All tables ask at the same time. */
const ANSWER_LIFETIME = "1 second"

/**
 * Makes the question whether a table may be written. `isParked` names the tables that this process has given up: they may be
 * taken by another.
 */
export const makeStandby = Effect.fnUntraced(function*(
  active: Effect.Effect<ActiveConfig>,
  isParked: (table: string) => boolean
): Effect.fn.Return<SharedByTables["awaited"], never, SyncConfig> {
  const { standby } = yield* SyncConfig
  if (!standby) return Effect.succeed(undefined)
  const reserve = Effect.gen(function*() {
    const leases = yield* TableLeases
    const { dataset, tables } = (yield* active).manifest
    const owners = tables.filter(({ name }) => !isParked(name)).map(({ name }) => ({
      table: name,
      dataset: datasetId(dataset)
    }))
    return yield* leases.reserve(owners)
  })
  return yield* cachedFor(reserve, ANSWER_LIFETIME)
})
