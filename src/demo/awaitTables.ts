/** Waits for the tables of the demo. */
import { Clock, Effect } from "effect"
import type { TableStatus } from "../domain/TableStatus.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import { DemoError } from "./DemoError.ts"

const POLL_INTERVAL = "100 millis"
const NO_PROGRESS_MILLIS = 60_000
/** At the tip the last rows of a range may come in a transaction of their own. */
const SETTLED_MILLIS = 1_000

/**
 * Waits until every table has caught up with the block that `target` names for it, and nothing more comes; returns the time
 * at which the last rows came, in Unix milliseconds. Fails when a table is parked, and after a minute without progress.
 */
export const awaitTables = Effect.fnUntraced(
  function*(tables: ReadonlyArray<string>, target: (table: string) => bigint) {
    const status = yield* SyncStatus
    let moved = { atMillis: yield* Clock.currentTimeMillis, rows: 0, state: "" }
    while (true) {
      const statuses = yield* status.get
      const now = yield* Clock.currentTimeMillis
      const found = tables.flatMap((table) => statuses.get(table) ?? [])
      const parked = found.find(({ phase }) => phase === "parked")
      if (parked !== undefined) return yield* failed(`table "${parked.table}" is parked: ${parked.reason}`)
      const rows = found.reduce((sum, { rowsCommitted }) => sum + rowsCommitted, 0)
      const state = found.map(({ lastBlock, watermark }) => `${lastBlock} ${watermark}`).join()
      if (rows !== moved.rows || state !== moved.state) moved = { atMillis: now, rows, state }
      const reached = found.length === tables.length && found.every((table) => hasReached(table, target(table.table)))
      if (reached && now - moved.atMillis >= SETTLED_MILLIS) return moved.atMillis
      if (now - moved.atMillis > NO_PROGRESS_MILLIS) {
        return yield* failed(`no progress for a minute: ${describe(found)}`)
      }
      yield* Effect.sleep(POLL_INTERVAL)
    }
  }
)

const failed = (reason: string) => new DemoError({ operation: "follow", reason })

const hasReached = ({ lastBlock, phase }: TableStatus, block: bigint): boolean =>
  phase === "caught up" && (lastBlock ?? -1n) >= block

const describe = (found: ReadonlyArray<TableStatus>): string =>
  found.map(({ lastBlock, phase, table }) => `${table} ${phase} at block ${lastBlock ?? "none"}`).join(", ")
