/** What a soak runs: a simulated server, PostgreSQL, the program itself, and the proxies between them. */
import { Effect, type Scope } from "effect"
import { chmod, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { startDatabase } from "../../test/chaos/database.ts"
import type { Stage } from "../../test/chaos/stage.ts"
import { type AmpsyncProcess, startAmpsync } from "../../test/support/ampsyncProcess.ts"
import { addressOf } from "../../test/support/health.ts"
import { startProxy, throughProxy } from "../../test/support/proxy.ts"
import { Chains } from "../../test/support/snapshots.ts"
import { start as spawnWithReaper } from "../bench/children.ts"
import { configOf, configWithout } from "./tables.ts"

export const RETENTION_BLOCKS = 128
export interface SoakStage extends Stage {
  readonly process: AmpsyncProcess
  /** `host:port` of the health endpoints. */
  readonly health: string
}

/** Starts everything below `home`, an empty directory. */
export const setStage = Effect.fnUntraced(function*(
  home: string,
  seed: number
): Effect.fn.Return<SoakStage, never, Scope.Scope> {
  const violations: Array<string> = []
  const violated = (what: string) => void violations.push(what)
  const simulator = yield* Effect.orDie(
    startSimulator({ dialect: "amp", seed, blocks: 200, maxRangeBlocks: 7, keepAlive: "5 seconds" })
  )
  // The account of PostgreSQL must be able to enter, where root runs this.
  yield* Effect.promise(() => chmod(home, 0o755))
  const postgres = yield* startDatabase(join(home, "postgres"), () => undefined, violated)
  const flightProxy = yield* startProxy(Number(new URL(simulator.flightUrl).port))
  const postgresProxy = yield* startProxy(postgres.port())
  const manifestPath = join(home, "dataset.json")
  const writeConfig = (text: string) => Effect.promise(() => writeFile(manifestPath, text))
  yield* writeConfig(configWithout())
  const environment = {
    DATASET_MANIFEST: manifestPath,
    DATABASE_URL: throughProxy(postgres.database.url, postgresProxy),
    DATABASE_SCHEMA: postgres.database.schema,
    AMP_FLIGHT_ADDR: `http://127.0.0.1:${flightProxy.port}`,
    AMP_ADMIN_API_ADDR: simulator.adminUrl,
    GRPC_PING_INTERVAL_SECS: "5",
    RETENTION_BLOCKS: String(RETENTION_BLOCKS),
    HEALTH_PORT: "0",
    HEALTH_HOST: "127.0.0.1"
  }
  const process = yield* startAmpsync(environment, [], spawnWithReaper)
  return {
    resync: false,
    simulator,
    chains: new Chains(simulator.chain),
    postgres,
    world: { database: postgres.database, simulator, manifestPath, environment },
    flightProxy,
    postgresProxies: [postgresProxy],
    processes: [],
    writeConfig,
    configOf,
    configWithout,
    violated,
    violations,
    process,
    health: yield* addressOf(process)
  }
})
