/** The progress of all tables, with what takes more than one moment to know. */
import { Clock, Effect } from "effect"
import { type BlockPace, blocksBehind, noPace, samplePace, secondsLeft } from "../../domain/BlockPace.ts"
import type { Progress } from "../../domain/display/progressView.ts"
import type { TableStatus } from "../../domain/TableStatus.ts"
import type { ThroughputReport } from "../../domain/Throughput.ts"
import { SyncStatus } from "../../services/SyncStatus.ts"

const ratesOf = (report: ThroughputReport | undefined) => ({
  rowsPerSecond: report?.rowsPerSecond ?? 0,
  rowsBySecond: report?.samples.map(({ rows }) => rows) ?? []
})

/** Makes a reader of the progress. Each reading is also a sample of the pace of the tables: once a second is enough. */
export const makeProgressReader = Effect.gen(function*() {
  const status = yield* SyncStatus
  let paces: ReadonlyMap<string, BlockPace> = new Map()

  return Effect.gen(function*() {
    const [now, statuses, throughput] = [
      yield* Clock.currentTimeMillis,
      yield* status.get,
      yield* status.throughput
    ]
    paces = new Map(
      [...statuses].map(([table, found]) => [table, samplePace(paces.get(table) ?? noPace, found, now)])
    )
    const progressOf = (found: TableStatus) => ({
      status: found,
      ...ratesOf(throughput.tables.get(found.table)),
      behind: blocksBehind(found, now),
      secondsLeft: secondsLeft(paces.get(found.table) ?? noPace, found, now)
    })
    const progress: Omit<Progress, "heading"> = {
      all: ratesOf(throughput.all),
      tables: [...statuses.values()].map(progressOf)
    }
    return progress
  })
})
