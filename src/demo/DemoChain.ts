/** Drives the chain of the simulator: new blocks and reorgs at a pace. */
import { Duration, Effect } from "effect"
import type { Pace } from "./display/demoText.ts"

/** The chain of the simulator, as far as the demo drives it. */
export interface DemoChain {
  /** Number of the last block. */
  readonly tip: bigint
  readonly reorgs: number
  readonly mine: (count: number) => void
  readonly reorg: (depth: number) => void
  /** Canonical rows of blocks `from` to `to`, both inclusive. */
  readonly countRows: (table: string, from: bigint, to: bigint) => number
}

/** Called before the chain replaces its blocks `first` to `last`, both inclusive, by those up to `newLast`. */
type OnReorg = (first: bigint, last: bigint, newLast: bigint) => Effect.Effect<void>

const replaceLast = (chain: DemoChain, { reorgDepth }: Pace, onReorg: OnReorg): Effect.Effect<void> =>
  Effect.suspend(() => {
    const last = chain.tip
    const depth = last < BigInt(reorgDepth) ? Number(last) : reorgDepth
    if (depth < 1) return Effect.sync(() => chain.mine(1))
    // The longest chain wins: the new one has a block more.
    return Effect.andThen(onReorg(last - BigInt(depth) + 1n, last, last + 1n), Effect.sync(() => chain.reorg(depth)))
  })

/** Mines one block per step, without end or for `steps`; every `reorgEvery`-th step is a reorg. */
export const liveTip = Effect.fnUntraced(function*(chain: DemoChain, pace: Pace, onReorg: OnReorg, steps = Infinity) {
  for (let step = 1; step <= steps; step += 1) {
    yield* Effect.sleep(Duration.millis(pace.blockTimeMillis))
    if (pace.reorgEvery > 0 && step % pace.reorgEvery === 0) yield* replaceLast(chain, pace, onReorg)
    else chain.mine(1)
  }
})

/** A live tip that ends after two reorgs or after `atMost`, whichever is first, but has at least one reorg. */
export const shortLiveTip = Effect.fnUntraced(
  function*(chain: DemoChain, pace: Pace, onReorg: OnReorg, atMost: Duration.Duration) {
    const { reorgEvery } = pace
    const before = chain.reorgs
    const steps = reorgEvery === 0 ? Infinity : 2 * reorgEvery + 1
    yield* Effect.timeoutOption(liveTip(chain, pace, onReorg, steps), atMost)
    if (reorgEvery > 0 && chain.reorgs === before) yield* replaceLast(chain, pace, onReorg)
  }
)

/**
 * Mines until the last block has rows in every table.
 *
 * A nozzle server never mentions blocks without rows: a reorg into nothing but such blocks shows with the next rows.
 */
export const endOnFullBlock = (chain: DemoChain, tables: ReadonlyArray<string>): void => {
  do chain.mine(1)
  while (tables.some((table) => chain.countRows(table, chain.tip, chain.tip) === 0))
}

/** The last block that has rows in `table`; -1 where none has. */
export const lastBlockWithRows = (chain: DemoChain, table: string): bigint => {
  let block = chain.tip
  while (block >= 0n && chain.countRows(table, block, block) === 0) block -= 1n
  return block
}
