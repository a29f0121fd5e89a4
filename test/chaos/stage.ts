/** Everything that a schedule acts on: server, database, processes, and the proxies between them. */
import { Effect, type Scope } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Simulator, startSimulator } from "../../src/simulator/Simulator.ts"
import { manifestOf, type Queries } from "../support/manifestOf.ts"
import { type Proxy, startProxy, throughProxy } from "../support/proxy.ts"
import { Chains } from "../support/snapshots.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import type { World } from "../support/world.ts"
import { type ChaosDatabase, startDatabase } from "./database.ts"
import { type ChaosProcess, startProcess } from "./processes.ts"
import type { Schedule } from "./schedule.ts"
import { chaosQueries, chaosSettings } from "./tables.ts"

/** About 1,000 rows of `logs`, in 17 batches. */
const HUGE_TRANSACTIONS = 400

export interface Stage {
  /** Whether a table is filled again when the server has another chain. */
  readonly resync: boolean
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
  /** The config file with these queries. */
  readonly configOf: (queries: Queries) => string
  /** The config file without the table; with all of them where none is named. */
  readonly configWithout: (table?: string) => string
  readonly violated: (what: string) => void
  readonly violations: ReadonlyArray<string>
}

/** A stretch of blocks without rows, and single ones with very many. */
const transactionsOf = ({ emptyFrom, emptyBlocks, hugeEvery }: Schedule) => (number: bigint): number | undefined => {
  if (number >= emptyFrom && number < emptyFrom + emptyBlocks) return 0
  return hugeEvery > 0 && number % BigInt(hugeEvery) === BigInt(hugeEvery) - 1n ? HUGE_TRANSACTIONS : undefined
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
  const transactionsAt = transactionsOf(schedule)
  const simulator = yield* Effect.orDie(
    startSimulator({ dialect, seed, blocks, maxRangeBlocks, transactionsAt, maxBatchRows: 60, keepAlive: "1 second" })
  )
  const chains = new Chains(simulator.chain)
  const postgresProxies: Array<Proxy> = []
  const postgres = yield* startDatabase(home, (port) => {
    for (const proxy of postgresProxies) proxy.redirect(port)
  }, violated)
  const flightProxy = yield* startProxy(portOf(simulator.flightUrl))

  const configOf = (queries: Queries) => JSON.stringify(manifestOf(dialect, queries, chaosSettings))
  const configWithout = (table?: string) =>
    configOf(Object.fromEntries(Object.entries(chaosQueries).filter(([name]) => name !== table)))
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
    // More than any schedule mines: a chain that is replaced as a whole is read again, and no table parks. With few, a deep
    // reorg leaves nothing in common.
    RETENTION_BLOCKS: schedule.resync ? "64" : "2000",
    ON_CHAIN_RESET: schedule.resync ? "resync" : "park",
    DEFER_INDEXES: schedule.defersIndexes ? "always" : "off",
    STANDBY: String(schedule.standby)
  }
  const wasConfigInvalid = (sinceMillis: number) => invalidUntilMillis >= sinceMillis
  const processes: Array<ChaosProcess> = []
  for (let index = 0; index < schedule.processes; index++) {
    const proxy = yield* startProxy(postgres.port())
    postgresProxies.push(proxy)
    const DATABASE_URL = throughProxy(postgres.syncUrl(), proxy)
    processes.push(
      yield* startProcess(`process ${index}`, { ...environment, DATABASE_URL }, violated, wasConfigInvalid)
    )
  }
  const world = { database: postgres.database, simulator, manifestPath, environment }
  return {
    resync: schedule.resync,
    simulator,
    chains,
    postgres,
    world,
    flightProxy,
    postgresProxies,
    processes,
    writeConfig,
    configOf,
    configWithout,
    violated,
    violations
  }
})
