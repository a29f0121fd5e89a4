import { Clock, Effect } from "effect"
import type { TableStatus } from "../domain/TableStatus.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import type { Line } from "./display/Line.ts"
import { progressSentence, progressTable, type TableProgress } from "./display/progress.ts"
import { noSpeed, perSecond, sample, type Speed } from "./display/Speed.ts"
import type { Screen } from "./screen.ts"

const REDRAW = "200 millis"
const PLAIN_MILLIS = 2000

export interface Watching {
  readonly tables: ReadonlyArray<string>
  /** Stands above the tables on a terminal. */
  readonly heading: () => Line
}

/** Shows how far the tables are, for ever: in place on a terminal, as a line per change every two seconds elsewhere. */
export const watchTables = Effect.fnUntraced(function*(screen: Screen, { heading, tables }: Watching) {
  const status = yield* SyncStatus
  const speeds = new Map<string, Speed>()
  const said = new Map<string, string>()
  let saidAt = 0
  while (true) {
    const now = yield* Clock.currentTimeMillis
    const statuses = yield* status.get
    const progress = tables.flatMap((table) => {
      const found = statuses.get(table)
      if (found === undefined) return []
      const speed = sample(speeds.get(table) ?? noSpeed, now, found.rowsCommitted)
      speeds.set(table, speed)
      return [progressOf(found, perSecond(speed))]
    })
    if (progress.length > 0) yield* screen.show([heading(), ...progressTable(progress)])
    if (!screen.interactive && now - saidAt >= PLAIN_MILLIS) {
      saidAt = now
      yield* screen.print(
        ...progress.map(progressSentence).flatMap((sentence, i) => {
          const { table } = progress[i]!
          if (said.get(table) === sentence) return []
          said.set(table, sentence)
          return [[`${new Date(now).toISOString().slice(11, 19)} ${sentence}`]]
        })
      )
    }
    yield* Effect.sleep(REDRAW)
  }
})

const progressOf = (status: TableStatus, rowsPerSecond: number): TableProgress => ({
  table: status.table,
  rows: status.rows,
  blocks: (status.lastBlock ?? -1n) + 1n,
  rowsPerSecond,
  watermark: status.watermark,
  reorgs: status.reorgs,
  state: status.phase,
  reason: status.reason
})
