/** Keeps the chain of the simulator equal to that of a node, through its reorgs. */
import { Effect, Schedule } from "effect"
import type { Chain } from "../Chain.ts"
import type { Node, NodeError } from "./Node.ts"

const POLL_INTERVAL = "250 millis"
/** Blocks of one request. */
const PIECE = 50n

const hexOf = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString("hex")}`

/** The last block that both chains have; -1 where they have none in common. */
const commonBlock = Effect.fnUntraced(function*(chain: Chain, node: Node, head: bigint) {
  const { hashAt, tip } = chain.newest
  let number = head < tip ? head : tip
  while (number >= 0n && (yield* node.hashAt(number)) !== hashAt(number)) number -= 1n
  return number
})

/** Takes over what the node has and the chain has not; a reorg in the middle leaves the rest to the next time. */
export const catchUp = Effect.fnUntraced(function*(chain: Chain, node: Node) {
  const head = yield* node.head
  let last = yield* commonBlock(chain, node, head)
  if (last === head && chain.newest.tip > head) chain.take(head + 1n, [])
  while (last < head) {
    const end = last + PIECE < head ? last + PIECE : head
    const blocks = yield* node.blocks(last + 1n, end)
    const [first] = blocks
    if (first === undefined) return
    if (last >= 0n && hexOf(first.parentHash) !== chain.newest.hashAt(last)) return
    chain.take(last + 1n, blocks)
    last += BigInt(blocks.length)
  }
})

/** Follows the node until it is interrupted; a node that does not answer is asked again, and logged once. */
export const followNode = (chain: Chain, node: Node): Effect.Effect<never> => {
  let reported: string | undefined
  const report = (error: NodeError) =>
    Effect.suspend(() => {
      if (error.message === reported) return Effect.void
      reported = error.message
      return Effect.logWarning(`${error.message}; trying again every ${POLL_INTERVAL}`)
    })
  const step = catchUp(chain, node).pipe(
    Effect.tap(() => Effect.sync(() => reported = undefined)),
    Effect.catch(report)
  )
  return Effect.andThen(Effect.repeat(step, Schedule.spaced(POLL_INTERVAL)), Effect.never)
}
