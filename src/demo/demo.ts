/**
 * The demo: everything a sync needs, made up on the spot, and the sync itself exactly as production runs it.
 */
import { Clock, Duration, Effect, Fiber, FileSystem, Layer, Redacted } from "effect"
import { layerFrom } from "../layers/Config.ts"
import { services } from "../programs/ampsync.ts"
import { sync } from "../programs/verbs/sync.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import { expectedRows } from "../simulator/expected.ts"
import { RowDigest } from "../simulator/RowDigest.ts"
import { type Simulator, startSimulator } from "../simulator/Simulator.ts"
import { type Dialect, fieldsOf, TABLE_NAMES, type TableName, TABLES } from "../simulator/tables.ts"
import { awaitTables } from "./awaitTables.ts"
import { type CanonicalRows, compareTable } from "./compareTables.ts"
import { type DemoChain, endOnFullBlock, lastBlockWithRows, liveTip, shortLiveTip } from "./DemoChain.ts"
import { DemoError } from "./DemoError.ts"
import * as say from "./display/demoText.ts"
import { layer as embeddedPostgres } from "./embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "./EmbeddedPostgres.ts"
import { makeScreen, type Screen } from "./screen.ts"
import { layer as tableReader } from "./TableReader.ts"
import { watchTables } from "./watchTables.ts"

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

/** Ranges of a size that lets history arrive in steps one can watch, also from a server that would send it in one. */
const RANGE_BLOCKS = 500
/** With `untilSynced` nobody watches for long. */
const FAST_BLOCK_TIME = Duration.millis(150)
const LIVE_AT_MOST = Duration.seconds(10)

/** Runs until it is interrupted, or with `untilSynced` until it has shown that nothing is missing; then everything is gone. */
export const demo = Effect.fn("demo")(function*(options: DemoOptions) {
  const screen = yield* makeScreen
  yield* screen.print(...say.title)
  yield* screen.show([say.startingPostgres])
  const playing = yield* play(screen, options).pipe(
    Effect.scoped,
    Effect.provide(embeddedPostgres),
    Effect.provide(screen.logging),
    Effect.forkChild
  )
  yield* Fiber.join(playing).pipe(
    // What ends the demo may print as well: the screen is given up before anything is stopped.
    Effect.onInterrupt(() =>
      screen.leave.pipe(
        // A terminal has echoed the Ctrl-C at the beginning of the line.
        Effect.andThen(screen.print(...(screen.interactive ? [[]] : []), say.stopping)),
        Effect.andThen(Fiber.interrupt(playing)),
        Effect.andThen(screen.print(say.stopped))
      )
    )
  )
}, Effect.scoped)

const play = Effect.fnUntraced(function*(screen: Screen, options: DemoOptions) {
  const { url } = yield* EmbeddedPostgres
  yield* screen.show([])
  yield* screen.print(...say.connection(Redacted.value(url)))
  const { blocks, dialect, seed } = options
  const simulator = yield* startSimulator({ dialect, seed, blocks, maxRangeBlocks: RANGE_BLOCKS })
  const settings = layerFrom({
    DATASET_MANIFEST: yield* writeManifest(dialect),
    DATABASE_URL: url,
    AMP_FLIGHT_ADDR: simulator.flightUrl,
    AMP_ADMIN_API_ADDR: simulator.adminUrl
  })
  yield* Effect.raceFirst(sync, tell(screen, options, simulator)).pipe(
    Effect.provide(tableReader.pipe(Layer.provideMerge(services), Layer.provideMerge(settings)))
  )
})

/** The config file of a dataset that holds the tables of the simulated chain as they are; gives its path. */
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

/** History, live tip, and the proof if one is asked for; meanwhile the screen shows what the sync does. */
const tell = Effect.fnUntraced(
  function*(screen: Screen, options: DemoOptions, simulator: Simulator) {
    const chain = demoChain(simulator)
    const began = yield* Clock.currentTimeMillis
    yield* screen.print(say.historyBegins(options.dialect, options.blocks))
    const heading = () => say.tip(chain.tip, chain.reorgs)
    yield* Effect.forkScoped(watchTables(screen, { tables: TABLE_NAMES, heading }))
    const reachable = (table: string) => lastBlockWithRows(chain, table)
    const ended = yield* awaitTables(TABLE_NAMES, reachable)
    const statuses = yield* Effect.flatMap(SyncStatus, (status) => status.get)
    const rows = [...statuses.values()].reduce((sum, status) => sum + status.rows, 0n)
    yield* screen.print(say.historyEnds(rows, ended - began))
    yield* goLive(screen, options, chain)
    endOnFullBlock(chain, TABLE_NAMES)
    yield* screen.print(say.waitingForTip(chain.tip))
    yield* awaitTables(TABLE_NAMES, reachable)
  },
  Effect.scoped,
  (following, screen, _, simulator) => Effect.andThen(following, acceptCandidate(screen, simulator))
)

/** Ends only where it is not all there is to see. */
const goLive = (screen: Screen, options: DemoOptions, chain: DemoChain) => {
  const { blockTime, reorgDepth, reorgEvery, untilSynced } = options
  const pace = {
    blockTimeMillis: Duration.toMillis(untilSynced ? Duration.min(blockTime, FAST_BLOCK_TIME) : blockTime),
    reorgEvery: reorgDepth === 0 ? 0 : reorgEvery,
    reorgDepth
  }
  const onReorg = (first: bigint, last: bigint) => screen.print(say.chainReorged(first, last))
  const announce = say.liveTipBegins(pace, Duration.toMillis(blockTime))
  return untilSynced
    ? Effect.andThen(screen.print(announce), shortLiveTip(chain, pace, onReorg, LIVE_AT_MOST))
    : Effect.andThen(screen.print(announce, say.stopHint), liveTip(chain, pace, onReorg))
}

const acceptCandidate = Effect.fnUntraced(function*(screen: Screen, { chain }: Simulator) {
  const canonical = canonicalRows(chain)
  const compare = (table: TableName) =>
    Effect.andThen(screen.show([say.comparing(table)]), compareTable(table, canonical))
  const comparisons = yield* Effect.forEach(TABLE_NAMES, compare)
  yield* screen.show([])
  yield* screen.print(...say.comparisonTable(comparisons))
  const different = comparisons.filter((comparison) => !say.isEqual(comparison))
  if (different.length > 0) {
    return yield* new DemoError({
      operation: "compare",
      reason: `PostgreSQL differs from the chain in ${different.map(({ table }) => table).join(", ")}`
    })
  }
  yield* screen.print(say.allEqual)
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
