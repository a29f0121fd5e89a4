/** What happens to the chain. */
import { Effect } from "effect"
import type { Stage } from "../stage.ts"
import { act, type Acts, lasting } from "./act.ts"

const newest = ({ simulator }: Stage) => Number(simulator.chain.newest.tip)

/** Blocks that can be replaced without touching block 0: all of them from block 1 on. */
export const depthOf = (stage: Stage, amount: number) => Math.min(amount, Math.max(1, newest(stage)))

const reorgDeep = (stage: Stage, target: number) => {
  const depth = Math.max(1, newest(stage) + 1 - target % 8)
  stage.simulator.reorg(depth, depth + 2)
}

const FLIP_MILLIS = 80

export const chainActs = {
  "mine": act(({ simulator }, { amount }) => simulator.mine(amount)),
  "reorg": act((stage, { amount, target }) => stage.simulator.reorg(depthOf(stage, amount), amount + 1 + target % 3)),
  "reorgs": (stage, { amount }) =>
    Effect.forEach(
      Array.from({ length: amount }, (_, index) => index),
      (index) =>
        Effect.andThen(Effect.sync(() => stage.simulator.reorg(depthOf(stage, 1 + index % 3))), Effect.sleep(40)),
      { discard: true }
    ),
  // The server notices it when the new chain is the longer one.
  "reorg-shorter": lasting(
    (stage, { amount }) => {
      const depth = depthOf(stage, amount)
      stage.simulator.reorg(depth, Math.max(0, depth - 1))
    },
    ({ simulator }) => simulator.mine(3)
  ),
  "reorg-deep": act((stage, { target }) => reorgDeep(stage, target)),
  "reorg-flip-flop": (stage, { amount, target }) =>
    Effect.gen(function*() {
      stage.simulator.reorg(depthOf(stage, amount))
      for (let flips = 1 + target % 4; flips > 0; flips--) {
        yield* Effect.sleep(FLIP_MILLIS)
        stage.simulator.chain.returnToReplaced()
      }
    }),
  // Where ON_CHAIN_RESET does not allow it, a table would be parked.
  "chain-reset": act((stage, { amount, target }) => {
    const { resync, simulator: { chain } } = stage
    if (!resync) return reorgDeep(stage, target)
    chain.reset({ blocks: Math.max(2, Number(chain.tip) - 10 + amount * 4), remember: target % 2 === 0 })
  })
} as const satisfies Acts<string>
