/** Shows the progress of the tables while a sync runs. */
import { Clock, Effect } from "effect"
import type { TableStatus } from "../domain/TableStatus.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import type { Line } from "./display/Line.ts"
import { progressSentence, progressTable, type TableProgress } from "./display/progress.ts"
import { noSpeed, perSecond, sample, type Speed } from "./display/Speed.ts"
import type { Screen } from "./screen.ts"

const REDRAW = "200 millis"
/** Between two prints where there is no terminal. */
const PRINT_MILLIS = 2000

export interface WatchOptions {
  readonly tables: ReadonlyArray<string>
  /** Stands above the tables on a terminal. */
  readonly heading: () => Line
}

/** Shows the progress without end: in place on a terminal, elsewhere every two seconds a line per table that changed. */
export const watchTables = Effect.fnUntraced(function*(screen: Screen, { heading, tables }: WatchOptions) {
  const status = yield* SyncStatus
  const speeds = new Map<string, Speed>()
  const printed = new Map<string, string>()
  let printedAt = 0
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
    if (!screen.interactive && now - printedAt >= PRINT_MILLIS) {
      printedAt = now
      yield* screen.print(
        ...progress.map(progressSentence).flatMap((sentence, i) => {
          const { table } = progress[i]!
          if (printed.get(table) === sentence) return []
          printed.set(table, sentence)
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
