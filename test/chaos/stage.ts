/** Everything that a schedule acts on: server, database, processes, and the proxies between them. */
import { Effect, type Scope } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Simulator, startSimulator } from "../../src/simulator/Simulator.ts"
import { manifestOf } from "../support/manifestOf.ts"
import { type Proxy, startProxy, throughProxy } from "../support/proxy.ts"
import { Chains } from "../support/snapshots.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import type { World } from "../support/world.ts"
import { type ChaosDatabase, startDatabase } from "./database.ts"
import { type ChaosProcess, startProcess } from "./processes.ts"
import type { Schedule } from "./schedule.ts"
import { chaosQueries } from "./tables.ts"

export interface Stage {
  readonly simulator: Simulator
  readonly chains: Chains
  readonly postgres: ChaosDatabase
  readonly world: World
  readonly flightProxy: Proxy
  /** One per process, so that one of two can be cut off. */
  readonly postgresProxies: ReadonlyArray<Proxy>
  readonly processes: ReadonlyArray<ChaosProcess>
  /** Writes the config file. */
  readonly writeConfig: (text: string) => Effect.Effect<void>
  /** The config file without the table; with all of them where none is named. */
  readonly configWithout: (table?: string) => string
  readonly violated: (what: string) => void
  readonly violations: ReadonlyArray<string>
}

const portOf = (url: string) => Number(new URL(url).port)

/** Sets the stage of a schedule with the PostgreSQL whose files are in `home`, and starts its processes. */
export const setStage = Effect.fnUntraced(function*(
  schedule: Schedule,
  home: string
): Effect.fn.Return<Stage, never, Scope.Scope> {
  const violations: Array<string> = []
  const violated = (what: string) => void violations.push(what)
  const { blocks, dialect, maxRangeBlocks, seed } = schedule
  const simulator = yield* Effect.orDie(
    startSimulator({ dialect, seed, blocks, maxRangeBlocks, maxBatchRows: 60, keepAlive: "1 second" })
  )
  const chains = new Chains(simulator.chain)
  const postgresProxies: Array<Proxy> = []
  const postgres = yield* startDatabase(home, (port) => {
    for (const proxy of postgresProxies) proxy.redirect(port)
  }, violated)
  const flightProxy = yield* startProxy(portOf(simulator.flightUrl))

  const configWithout = (table?: string) => {
    const queries = Object.entries(chaosQueries).filter(([name]) => name !== table)
    return JSON.stringify(manifestOf(dialect, Object.fromEntries(queries)))
  }
  const manifestPath = join(yield* temporaryDirectory, "dataset.json")
  let invalidUntilMillis = 0
  const writeConfig = (text: string) =>
    Effect.promise(async () => {
      await writeFile(manifestPath, text)
      // The file was empty for a moment, too.
      invalidUntilMillis = text.endsWith("}") ? Date.now() : Infinity
    })
  yield* writeConfig(configWithout())
  const environment = {
    DATASET_MANIFEST: manifestPath,
    DATABASE_SCHEMA: postgres.database.schema,
    AMP_FLIGHT_ADDR: `http://127.0.0.1:${flightProxy.port}`,
    AMP_ADMIN_API_ADDR: simulator.adminUrl,
    GRPC_PING_INTERVAL_SECS: "1",
    // More than any schedule mines: a chain that is replaced as a whole is read again, and no table parks.
    RETENTION_BLOCKS: "2000",
    STANDBY: String(schedule.standby)
  }
  const wasConfigInvalid = (sinceMillis: number) => invalidUntilMillis >= sinceMillis
  const processes: Array<ChaosProcess> = []
  for (let index = 0; index < schedule.processes; index++) {
    const proxy = yield* startProxy(postgres.port())
    postgresProxies.push(proxy)
    const DATABASE_URL = throughProxy(postgres.database.url, proxy)
    processes.push(
      yield* startProcess(`process ${index}`, { ...environment, DATABASE_URL }, violated, wasConfigInvalid)
    )
  }
  const world = { database: postgres.database, simulator, manifestPath, environment }
  return {
    simulator,
    chains,
    postgres,
    world,
    flightProxy,
    postgresProxies,
    processes,
    writeConfig,
    configWithout,
    violated,
    violations
  }
})
