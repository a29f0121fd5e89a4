/**
 * The verb `demo`: a simulated server, an embedded PostgreSQL, and between them the sync exactly as production runs it.
 */
import { Clock, Duration, Effect, Fiber, FileSystem, Layer, Redacted } from "effect"
import { fit } from "../domain/display/Line.ts"
import { layerFrom } from "../layers/Config.ts"
import { layer as healthApi } from "../layers/HealthApi.ts"
import { layer as syncStatus } from "../layers/SyncStatus.ts"
import { services } from "../programs/ampsync.ts"
import { showProgress } from "../programs/report/showProgress.ts"
import { sync } from "../programs/verbs/sync.ts"
import { Screen, type ScreenShape } from "../services/Screen.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import { expectedRows } from "../simulator/expected.ts"
import { RowDigest } from "../simulator/RowDigest.ts"
import { type Simulator, startSimulator } from "../simulator/Simulator.ts"
import { type Dialect, fieldsOf, TABLE_NAMES, type TableName, TABLES } from "../simulator/tables.ts"
import { awaitTables } from "./awaitTables.ts"
import { type CanonicalRows, compareTable } from "./compareTables.ts"
import { type DemoChain, endOnFullBlock, lastBlockWithRows, liveTip, shortLiveTip } from "./DemoChain.ts"
import { DemoError } from "./DemoError.ts"
import * as text from "./display/demoText.ts"
import { layer as embeddedPostgres } from "./embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "./EmbeddedPostgres.ts"
import { freePort, LOOPBACK } from "./freePort.ts"
import { printProgress } from "./printProgress.ts"
import { layer as tableReader } from "./TableReader.ts"

export interface DemoOptions {
  readonly dialect: Dialect
  readonly seed: number
  /** Blocks of history. */
  readonly blocks: number
  readonly blockTime: Duration.Duration
  /** 0 for never. */
  readonly reorgEvery: number
  readonly reorgDepth: number
  /** End by itself, after comparing what PostgreSQL holds with the chain. */
  readonly untilSynced: boolean
}

/** Small enough that history arrives in visible steps, also from a server that would send it in one range. */
const RANGE_BLOCKS = 500
/** With `untilSynced` the live tip is fast and short. */
const FAST_BLOCK_TIME = Duration.millis(150)
const LIVE_AT_MOST = Duration.seconds(10)

/** What the demo is reached at. */
interface Addresses {
  readonly databaseUrl: string
  readonly statusUrl: string
}

/** Runs until it is interrupted, or with `untilSynced` until every row is compared; then removes everything it made. */
export const demo = Effect.fn("demo")(function*(options: DemoOptions) {
  const screen = yield* Screen
  yield* screen.print(...text.title)
  yield* screen.show(() => [text.startingPostgres])
  const running = yield* run(options).pipe(
    Effect.scoped,
    Effect.provide(embeddedPostgres),
    Effect.forkChild
  )
  yield* Fiber.join(running).pipe(
    // What ends the demo may print as well: the screen is released before anything is stopped.
    Effect.onInterrupt(() =>
      screen.leave.pipe(
        // A terminal has echoed the Ctrl-C at the beginning of the line.
        Effect.andThen(screen.print(...(screen.isInteractive ? [[]] : []), text.stopping)),
        Effect.andThen(Fiber.interrupt(running)),
        Effect.andThen(screen.print(text.stopped))
      )
    )
  )
})

/** The health API begins beside the other services, as in production. */
const servicesWithHealth = Layer.merge(services, Layer.provide(healthApi, syncStatus))

const run = Effect.fnUntraced(function*(options: DemoOptions) {
  const screen = yield* Screen
  const { url } = yield* EmbeddedPostgres
  const healthPort = yield* Effect.orDie(freePort)
  const addresses: Addresses = {
    databaseUrl: Redacted.value(url),
    statusUrl: `http://${LOOPBACK}:${healthPort}/`
  }
  yield* screen.show(() => [])
  yield* screen.print(...text.connection(addresses.databaseUrl, addresses.statusUrl))
  const { blocks, dialect, seed } = options
  const simulator = yield* startSimulator({ dialect, seed, blocks, maxRangeBlocks: RANGE_BLOCKS })
  const settings = layerFrom({
    DATASET_MANIFEST: yield* writeManifest(dialect),
    DATABASE_URL: url,
    AMP_FLIGHT_ADDR: simulator.flightUrl,
    AMP_ADMIN_API_ADDR: simulator.adminUrl,
    HEALTH_HOST: LOOPBACK,
    HEALTH_PORT: healthPort
  })
  yield* Effect.raceFirst(sync, showStages(options, simulator, addresses)).pipe(
    Effect.provide(tableReader.pipe(Layer.provideMerge(servicesWithHealth), Layer.provideMerge(settings)))
  )
})

/** Writes the config file of a dataset with the tables of the simulated chain as they are; returns its path. */
const writeManifest = Effect.fnUntraced(function*(dialect: Dialect) {
  const files = yield* FileSystem.FileSystem
  const directory = yield* files.makeTempDirectoryScoped({ prefix: "ampsync-demo-" })
  const path = `${directory}/ampsync.config.json`
  const manifest = {
    name: "example",
    network: "anvil",
    version: "0.1.0",
    dependencies: {
      anvil: dialect === "nozzle" ? { owner: "_", name: "anvil", version: "0.1.0" } : "_/anvil@0.1.0"
    },
    tables: Object.fromEntries(TABLE_NAMES.map((table) => [table, { sql: `SELECT * FROM anvil.${table}` }]))
  }
  yield* files.writeFileString(path, JSON.stringify(manifest, undefined, 2))
  return path
})

/** Shows history, live tip and, where the live tip ends, the comparison; meanwhile the screen shows the progress. */
const showStages = Effect.fnUntraced(
  function*(options: DemoOptions, simulator: Simulator, { databaseUrl, statusUrl }: Addresses) {
    const screen = yield* Screen
    const chain = demoChain(simulator)
    const began = yield* Clock.currentTimeMillis
    yield* screen.print(text.historyBegins(options.dialect, options.blocks))
    const heading = () => Effect.sync(() => text.heading(databaseUrl, statusUrl, chain.tip, chain.reorgs))
    yield* Effect.forkScoped(showProgress(heading))
    yield* Effect.forkScoped(printProgress)
    const reachable = (table: string) => lastBlockWithRows(chain, table)
    const ended = yield* awaitTables(TABLE_NAMES, reachable)
    const statuses = yield* Effect.flatMap(SyncStatus, (status) => status.get)
    const rows = [...statuses.values()].reduce((sum, status) => sum + status.rows, 0n)
    yield* screen.print(text.historyEnds(rows, ended - began))
    yield* goLive(screen.print, options, chain)
    endOnFullBlock(chain, TABLE_NAMES)
    yield* screen.print(text.waitingForTip(chain.tip))
    yield* awaitTables(TABLE_NAMES, reachable)
  },
  Effect.scoped,
  (following, _, simulator) => Effect.andThen(following, compareWithChain(simulator))
)

/** Ends only with `untilSynced`. */
const goLive = (print: ScreenShape["print"], options: DemoOptions, chain: DemoChain) => {
  const { blockTime, reorgDepth, reorgEvery, untilSynced } = options
  const pace = {
    blockTimeMillis: Duration.toMillis(untilSynced ? Duration.min(blockTime, FAST_BLOCK_TIME) : blockTime),
    reorgEvery: reorgDepth === 0 ? 0 : reorgEvery,
    reorgDepth
  }
  const onReorg = (first: bigint, last: bigint, newLast: bigint) => print(text.chainReorged(first, last, newLast))
  const announce = text.liveTipBegins(pace, Duration.toMillis(blockTime))
  return untilSynced
    ? Effect.andThen(print(announce), shortLiveTip(chain, pace, onReorg, LIVE_AT_MOST))
    : Effect.andThen(print(announce, text.stopHint), liveTip(chain, pace, onReorg))
}

const compareWithChain = Effect.fnUntraced(function*({ chain }: Simulator) {
  const screen = yield* Screen
  const canonical = canonicalRows(chain)
  const compare = (table: TableName) =>
    Effect.andThen(
      screen.show(({ columns }) => [fit(text.comparing(table), columns - 1)]),
      compareTable(table, canonical)
    )
  const comparisons = yield* Effect.forEach(TABLE_NAMES, compare)
  yield* screen.show(() => [])
  yield* screen.print(...text.comparisonTable(comparisons))
  const different = comparisons.filter((comparison) => !text.isEqual(comparison))
  if (different.length > 0) {
    return yield* new DemoError({
      operation: "compare",
      reason: `PostgreSQL differs from the chain in ${different.map(({ table }) => table).join(", ")}`
    })
  }
  yield* screen.print(text.allEqual)
})

const demoChain = ({ chain }: Simulator): DemoChain => ({
  get tip() {
    return chain.tip
  },
  get reorgs() {
    return chain.reorgs
  },
  mine: (count) => chain.mine(count),
  reorg: (depth) => chain.reorg(depth),
  countRows: (table, from, to) => chain.countRows(table as TableName, from, to)
})

const canonicalRows = (chain: Simulator["chain"]): CanonicalRows => ({
  tip: chain.tip,
  columnsOf: (table) => fieldsOf(TABLES[chain.dialect][table as TableName]).map(({ name }) => name),
  rowsOf: (table, from, to) => expectedRows(chain, table as TableName, from, to),
  newDigest: (types) => new RowDigest(types)
})
