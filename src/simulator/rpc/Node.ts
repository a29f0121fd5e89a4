/** The JSON-RPC of an EVM node. */
import { Data, Effect, Schema } from "effect"
import { rootMessage } from "../../domain/rootMessage.ts"
import type { GivenBlock } from "../GivenBlocks.ts"
import { NodeBlock, Receipts } from "./nodeAnswers.ts"
import { givenBlock } from "./nodeBlock.ts"

/** The node did not answer, or not with a block. The message has its origin alone: a path may contain a key. */
export class NodeError extends Data.TaggedError("NodeError")<{ readonly url: URL; readonly reason: string }> {
  override get message() {
    return `cannot read the chain of the node at ${this.url.origin} (--evm-rpc): ${this.reason}`
  }
}

export interface Node {
  /** Number of the last block. */
  readonly head: Effect.Effect<bigint, NodeError>
  readonly hashAt: (number: bigint) => Effect.Effect<string | undefined, NodeError>
  /** Blocks `from` to `to`, up to the first one that is gone meanwhile or does not follow the one before. */
  readonly blocks: (from: bigint, to: bigint) => Effect.Effect<ReadonlyArray<GivenBlock>, NodeError>
}

const TIMEOUT_MILLIS = 10_000

const Answers = Schema.Array(Schema.Struct({
  id: Schema.Int,
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(Schema.Struct({ message: Schema.String }))
}))

type Call = readonly [method: string, ...params: ReadonlyArray<unknown>]

/** A number as JSON-RPC has it. */
const Quantity = Schema.String.check(Schema.isPattern(/^0x[0-9a-fA-F]+$/))

const quantity = (number: bigint): string => `0x${number.toString(16)}`

/** A request to `url`; `fetch` refuses one with a login in it, and repeats the login in its error. */
const requestTo = (url: URL) => {
  const address = new URL(url)
  address.username = ""
  address.password = ""
  const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  const authorization = login === ":" ? {} : { authorization: `Basic ${Buffer.from(login).toString("base64")}` }
  return { address, headers: { "content-type": "application/json", ...authorization } }
}

const post = async (url: URL, calls: ReadonlyArray<Call>, signal: AbortSignal): Promise<unknown> => {
  const { address, headers } = requestTo(url)
  const response = await fetch(address, {
    method: "POST",
    headers,
    body: JSON.stringify(calls.map(([method, ...params], id) => ({ jsonrpc: "2.0", id, method, params }))),
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MILLIS)])
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  return response.json()
}

export const makeNode = (url: URL): Node => {
  const failed = (reason: string) => new NodeError({ url, reason })
  const decode = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, value: unknown) =>
    Effect.mapError(Schema.decodeUnknownEffect(schema)(value), (error) => failed(error.message.replaceAll(/\s+/g, " ")))
  /** The results of several calls, in their order. */
  const call = Effect.fnUntraced(function*(calls: ReadonlyArray<Call>) {
    const body = yield* Effect.tryPromise({
      try: (signal) => post(url, calls, signal),
      catch: (error) => failed(rootMessage(error))
    })
    const answers = new Map((yield* decode(Answers, body)).map((answer) => [answer.id, answer]))
    const results: Array<unknown> = []
    for (const [id, [method]] of calls.entries()) {
      const { error, result } = answers.get(id) ?? { error: { message: "no answer" } }
      if (error !== undefined) return yield* failed(`${method}: ${error.message}`)
      results.push(result)
    }
    return results
  })
  const HashOf = Schema.NullOr(Schema.Struct({ hash: Schema.String }))
  return {
    head: Effect.flatMap(call([["eth_blockNumber"]]), ([number]) => Effect.map(decode(Quantity, number), BigInt)),
    hashAt: (number) =>
      Effect.flatMap(
        call([["eth_getBlockByNumber", quantity(number), false]]),
        ([block]) => Effect.map(decode(HashOf, block), (found) => found?.hash)
      ),
    blocks: Effect.fnUntraced(function*(from, to) {
      const numbers = Array.from({ length: Number(to - from) + 1 }, (_, i) => quantity(from + BigInt(i)))
      const results = yield* call(numbers.flatMap((number): ReadonlyArray<Call> => [
        ["eth_getBlockByNumber", number, true],
        ["eth_getBlockReceipts", number]
      ]))
      const blocks: Array<GivenBlock> = []
      for (const i of numbers.keys()) {
        const [block, receipts] = [results[2 * i], results[2 * i + 1]]
        // Gone since its number was read.
        if (block === null || receipts === null) break
        const [decoded, ofBlock] = [yield* decode(NodeBlock, block), yield* decode(Receipts, receipts)]
        const given = yield* Effect.try({
          try: () => givenBlock(decoded, ofBlock),
          catch: (error) => failed(rootMessage(error))
        })
        const before = blocks.at(-1)
        if (given === undefined || (before !== undefined && !Buffer.from(before.hash).equals(given.parentHash))) break
        blocks.push(given)
      }
      return blocks
    })
  }
}
