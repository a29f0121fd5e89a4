/** Several configs of one world: one server, one database. */
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { manifestOf } from "./manifestOf.ts"
import { testDatabase } from "./postgres.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"
import type { Queries, World } from "./world.ts"

/** The same world with another config, in a schema of its own, or in that of `world` with another `dataset`. */
export const beside = Effect.fnUntraced(function*(world: World, queries: Queries, dataset?: string) {
  const database = dataset === undefined ? yield* testDatabase : world.database
  const manifestPath = join(yield* temporaryDirectory, "dataset.json")
  const manifest = manifestOf(world.simulator.dialect, queries) as object
  yield* Effect.promise(() =>
    writeFile(manifestPath, JSON.stringify(dataset === undefined ? manifest : { ...manifest, name: dataset }))
  )
  const other: World = {
    ...world,
    database,
    manifestPath,
    environment: { ...world.environment, DATASET_MANIFEST: manifestPath, DATABASE_SCHEMA: database.schema }
  }
  return other
})
