/** A simulated Nozzle / Amp server: seeded chain, Flight, Admin API, and a handle for chain events and faults. */
import { Duration, Effect, type Scope } from "effect"
import { serveAdmin } from "./AdminServer.ts"
import { Chain } from "./Chain.ts"
import { datasetsOf, publish } from "./datasets.ts"
import { Faults } from "./faults.ts"
import { serveFlight } from "./FlightServer.ts"
import { followNode } from "./rpc/followNode.ts"
import { makeNode } from "./rpc/Node.ts"
import { NodeNeedsAmp, type SimulatorError } from "./SimulatorError.ts"
import type { Dialect } from "./tables.ts"

export interface SimulatorOptions {
  readonly dialect: Dialect
  /** The same seed gives the same chain, byte for byte. */
  readonly seed?: number
  /** Blocks at the time when the servers begin to listen. */
  readonly blocks?: number
  /** Number of transactions of a block, where it is not to be drawn: for blocks that are empty, or huge. */
  readonly transactionsAt?: (number: bigint) => number | undefined
  readonly network?: string
  /** First block of the datasets. */
  readonly startBlock?: number
  /** The JSON-RPC of an EVM node whose chain is served, in the place of a drawn one; only in the dialect amp. */
  readonly evmRpc?: URL | undefined
  /** A block is mined each time this has passed; none by itself where absent. */
  readonly blockTime?: Duration.Input
  /** With `blockTime`: every so many blocks the last `reorgDepth` are replaced. */
  readonly reorgEvery?: number
  readonly reorgDepth?: number
  /** Most blocks of one range: 100,000 in nozzle and 1,000 in amp, as the real servers are configured. */
  readonly maxRangeBlocks?: number
  /** Most rows of one record batch. */
  readonly maxBatchRows?: number
  /** Pause after which a working amp server sends an empty batch. */
  readonly keepAlive?: Duration.Input
  /** When given, both servers require `authorization: Bearer <token>`, as a gateway does; `faults.token` changes it. */
  readonly token?: string
  /** Most streams at a time on a Flight connection (SETTINGS_MAX_CONCURRENT_STREAMS); unlimited where absent. */
  readonly maxStreams?: number
  readonly host?: string
  /** 0, the default, takes a free port. */
  readonly flightPort?: number
  readonly adminPort?: number
  readonly rawName?: string
  readonly derivedName?: string
  readonly version?: string
  readonly versionSuffix?: string
}

export interface Simulator {
  readonly dialect: Dialect
  readonly network: string
  readonly startBlock: bigint
  /** `http://host:port`. */
  readonly flightUrl: string
  readonly adminUrl: string
  readonly chain: Chain
  readonly faults: Faults
  readonly mine: Chain["mine"]
  readonly reorg: Chain["reorg"]
  /** Registers a newer version of the dataset `name`, which the Admin API and queries use from then on. */
  readonly publish: (name: string, version: string) => void
}

/** Listens until the scope closes; closing it cuts every connection at once. */
export const startSimulator = (
  options: SimulatorOptions
): Effect.Effect<Simulator, SimulatorError | NodeNeedsAmp, Scope.Scope> =>
  Effect.gen(function*() {
    const { dialect, evmRpc, host = "127.0.0.1", network = "anvil" } = options
    if (evmRpc !== undefined && dialect === "nozzle") return yield* new NodeNeedsAmp()
    const { seed = 1, transactionsAt } = options
    const blocks = evmRpc === undefined ? options.blocks ?? 100 : 0
    const chain = new Chain({ seed, dialect, blocks, transactionsAt })
    const faults = new Faults()
    faults.token = options.token
    const startBlock = BigInt(options.startBlock ?? 0)
    const datasets = datasetsOf({
      dialect,
      network,
      startBlock,
      rawName: options.rawName ?? "anvil",
      derivedName: options.derivedName ?? "example",
      version: options.version ?? "0.1.0",
      versionSuffix: options.versionSuffix ?? "LTcyNjgz"
    })
    const flightPort = yield* serveFlight({
      chain,
      faults,
      datasets,
      host,
      port: options.flightPort ?? 0,
      maxStreams: options.maxStreams,
      maxRangeBlocks: options.maxRangeBlocks ?? (dialect === "nozzle" ? 100_000 : 1000),
      maxBatchRows: options.maxBatchRows ?? 8192,
      keepAliveMillis: Duration.toMillis(Duration.fromInputUnsafe(options.keepAlive ?? "30 seconds"))
    })
    const adminPort = yield* serveAdmin({ dialect, datasets, faults, host, port: options.adminPort ?? 0 })
    if (evmRpc !== undefined) yield* Effect.forkScoped(followNode(chain, makeNode(evmRpc)))
    else if (options.blockTime !== undefined) yield* Effect.forkScoped(liveTip(chain, options, options.blockTime))
    const url = (port: number) => `http://${host.includes(":") ? `[${host}]` : host}:${port}`
    return {
      dialect,
      network,
      startBlock,
      flightUrl: url(flightPort),
      adminUrl: url(adminPort),
      chain,
      faults,
      mine: (count) => chain.mine(count),
      reorg: (depth, newLength) => chain.reorg(depth, newLength),
      publish: (name, version) => publish(datasets, name, version)
    }
  })

/** Mines one block after the other; every `reorgEvery`-th step is a reorg. */
const liveTip = (chain: Chain, options: SimulatorOptions, blockTime: Duration.Input): Effect.Effect<never> => {
  let steps = 0
  const { reorgDepth = 1, reorgEvery = 0 } = options
  const step = Effect.sync(() => {
    steps += 1
    const due = reorgEvery > 0 && steps % reorgEvery === 0 && chain.tip >= BigInt(reorgDepth)
    if (due) chain.reorg(reorgDepth)
    else chain.mine(1)
  })
  return Effect.forever(Effect.andThen(Effect.sleep(blockTime), step))
}
