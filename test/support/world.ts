/** Everything one run of the sync has around it: a simulated server, a schema of its own, a config file. */
import { Effect, type Scope } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Simulator, type SimulatorOptions, startSimulator } from "../../src/simulator/Simulator.ts"
import { type Dialect, TABLE_NAMES } from "../../src/simulator/tables.ts"
import { type TestDatabase, testDatabase } from "./postgres.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

export interface World {
  readonly database: TestDatabase
  readonly simulator: Simulator
  readonly manifestPath: string
  /** What a process needs to sync this world. */
  readonly environment: Readonly<Record<string, string>>
}

/** Table name -> query. */
export type Queries = Readonly<Record<string, string>>

export const allTables: Queries = Object.fromEntries(
  TABLE_NAMES.map((name) => [name, `SELECT * FROM anvil.${name}`])
)

export const manifestOf = (dialect: Dialect, queries: Queries): unknown => ({
  name: "example",
  network: "anvil",
  version: "0.1.0",
  dependencies: { anvil: dialect === "amp" ? "_/anvil@0.1.0" : { owner: "_", name: "anvil", version: "0.1.0" } },
  tables: Object.fromEntries(Object.entries(queries).map(([name, sql]) => [name, { sql }]))
})

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
