/** Where the chain of the server ends, for blocks that it did not send. */
import { Effect } from "effect"
import type { Manifest } from "../../../domain/manifest/Manifest.ts"
import { formatCount } from "../../../domain/numbers.ts"
import type { BlockComparison } from "../../../domain/verify/BlockComparison.ts"
import { SourceHead } from "../../../services/SourceHead.ts"
import type { Ending } from "./Ending.ts"

/** Whether the chain of the server has the last block that was to be compared. */
export type ServerEnd =
  | { readonly _tag: "Reaches" }
  /** Its last block is `block`; -1 where it has none. */
  | { readonly _tag: "EndsBelow"; readonly block: bigint }
  | { readonly _tag: "Unknown"; readonly reason: string }

export const reaches: ServerEnd = { _tag: "Reaches" }

/** Asks the server where its chain ends, unless it sent all blocks up to `to`, or ranges that cannot be compared to their end. */
export const serverEndOf = Effect.fnUntraced(function*(
  manifest: Manifest,
  network: string | undefined,
  to: bigint,
  { through }: BlockComparison,
  ending: Ending | undefined
): Effect.fn.Return<ServerEnd, never, SourceHead> {
  if (through >= to || ending?._tag === "RangeEnds") return reaches
  const source = yield* SourceHead
  return yield* source.check(manifest, network ?? "", { block: to, hash: "" }).pipe(
    Effect.map(({ head }): ServerEnd => {
      if (head === undefined) return { _tag: "Unknown", reason: "the server does not show where its chain ends" }
      return head.block < to ? { _tag: "EndsBelow", block: head.block } : reaches
    }),
    Effect.catch(({ message }) => Effect.succeed<ServerEnd>({ _tag: "Unknown", reason: message }))
  )
})

/** The sentence for a chain that ends at `end`, below block `to` of the table. */
export const endsBelow = (end: bigint, to: bigint): string => {
  const missing = end + 1n === to ? `block ${formatCount(to)}` : `blocks ${formatCount(end + 1n)} to ${formatCount(to)}`
  const where = end < 0n ? "The server has no block" : `The chain of the server ends at block ${formatCount(end)}`
  return `${where}: it has nothing of ${missing}, up to which the table is complete`
}
