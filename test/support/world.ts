/** Everything one run of the sync has around it: a simulated server, a schema of its own, a config file. */
import { Effect, type Scope } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Simulator, type SimulatorOptions, startSimulator } from "../../src/simulator/Simulator.ts"
import { allTables, manifestOf, type Queries } from "./manifestOf.ts"
import { type TestDatabase, testDatabase } from "./postgres.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

export { allTables, manifestOf, type Queries }

export interface World {
  readonly database: TestDatabase
  readonly simulator: Simulator
  readonly manifestPath: string
  /** What a process needs to sync this world. */
  readonly environment: Readonly<Record<string, string>>
}

export interface WorldOptions extends SimulatorOptions {
  /** All three tables of the chain where absent. */
  readonly queries?: Queries
}

export const makeWorld = (options: WorldOptions): Effect.Effect<World, never, Scope.Scope> =>
  Effect.gen(function*() {
    const database = yield* testDatabase
    const simulator = yield* Effect.orDie(startSimulator({ seed: 7, ...options }))
    const manifestPath = join(yield* temporaryDirectory, "dataset.json")
    const manifest = manifestOf(options.dialect, options.queries ?? allTables)
    yield* Effect.promise(() => writeFile(manifestPath, JSON.stringify(manifest)))
    return {
      database,
      simulator,
      manifestPath,
      environment: {
        DATASET_MANIFEST: manifestPath,
        DATABASE_URL: database.url,
        DATABASE_SCHEMA: database.schema,
        AMP_FLIGHT_ADDR: simulator.flightUrl,
        AMP_ADMIN_API_ADDR: simulator.adminUrl
      }
    }
  })
