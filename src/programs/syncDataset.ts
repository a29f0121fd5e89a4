import { Effect, Ref, Schedule, Semaphore } from "effect"
import { differences } from "../domain/arrow/differences.ts"
import { initialBatchSize } from "../domain/BatchSize.ts"
import { resume } from "../domain/chain/approach.ts"
import { formatDatasetReference } from "../domain/Dataset.ts"
import type { Manifest } from "../domain/Manifest.ts"
import { AdminApi } from "../services/AdminApi.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import * as log from "./logLines.ts"
import { superviseTable } from "./superviseTable.ts"

/** A server that is down, or a dataset that is not published yet, is waited for. */
const patience = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("30 seconds")]).pipe(Schedule.jittered)

/**
 * One generation: everything that a valid config file asks for, until it is interrupted. One fiber per table; what fails
 * in one stays in it (I4), and the permits they share bound what all of them hold in memory together (I8).
 */
export const syncDataset = Effect.fn("syncDataset")(function*(manifest: Manifest) {
  const { maxConcurrentBatches } = yield* AmpsyncConfig
  const status = yield* SyncStatus
  const { tables } = manifest
  yield* Effect.logInfo(log.preparing(formatDatasetReference(manifest.dataset)))
  for (const { name } of tables) yield* status.update(name, () => ({ phase: "starting" }))
  const info = yield* describeDataset(manifest).pipe(
    Effect.catch((error) => Effect.as(parkAll(manifest, error.message), undefined))
  )
  if (info === undefined) return yield* Effect.never
  const permits = yield* Semaphore.make(maxConcurrentBatches)
  const supervise = Effect.forEach(tables, (table) =>
    Effect.gen(function*() {
      const published = info.tables.find(({ name }) => name === table.name)
      if (published === undefined) {
        yield* Effect.logWarning(
          `Table '${table.name}' is not among those of dataset ${info.namespace}/${info.name} ${info.version}; its query decides`
        )
      }
      return yield* superviseTable({
        table,
        manifest,
        version: info.version,
        permits,
        size: yield* Ref.make(initialBatchSize),
        approach: yield* Ref.make(resume),
        commits: yield* Ref.make(0),
        contradictions: (schema) =>
          published?.schema === undefined ? [] : differences(published.schema, schema)
      })
    }), { concurrency: "unbounded", discard: true })
  const announceStop = Effect.onInterrupt(Effect.never, () => Effect.logInfo(log.shuttingDown(tables.length)))
  return yield* Effect.raceFirst(Effect.andThen(supervise, Effect.never), announceStop).pipe(
    Effect.onInterrupt(() => Effect.logInfo(log.tasksEnded))
  )
})

const describeDataset = Effect.fnUntraced(function*(manifest: Manifest) {
  const admin = yield* AdminApi
  return yield* admin.dataset(manifest.dataset).pipe(
    Effect.tapError((error) =>
      error.retryable ? Effect.logWarning(`${error.message}; trying again`) : Effect.void
    ),
    Effect.retry(($) => $(patience).pipe(Schedule.while(({ input }) => input.retryable)))
  )
})

const parkAll = Effect.fnUntraced(function*({ tables }: Manifest, reason: string) {
  const status = yield* SyncStatus
  for (const { name } of tables) {
    yield* Effect.logError(log.parked(name, reason))
    yield* status.update(name, () => ({ phase: "parked", reason }))
  }
})
