/** Leaves out of a comparison what was replaced while it was made. */
import { Effect } from "effect"
import { nextProbe } from "../../../domain/chain/watermarks.ts"
import type { Manifest } from "../../../domain/manifest/Manifest.ts"
import { formatCount } from "../../../domain/numbers.ts"
import type { BlockComparison } from "../../../domain/verify/BlockComparison.ts"
import { StoredRows, type StoredTable } from "../../../services/StoredRows.ts"
import { type Ending, notCompared } from "./Ending.ts"
import { isCanonical } from "./isCanonical.ts"
import type { ServerEnd } from "./serverEnd.ts"

/** Takes back what may have been replaced meanwhile, in the database or at the source; the sentence explains what is left. */
export const takeBackReplaced = Effect.fnUntraced(function*(
  manifest: Manifest,
  table: string,
  stored: StoredTable,
  comparison: BlockComparison,
  ending: Ending | undefined
) {
  const rows = yield* StoredRows
  const { history, network } = stored.checkpoint
  const takeBack = (block: bigint) => comparison.takeBack(block) ? Effect.void : chainChanged(`from block ${block} on`)
  if (ending?._tag === "ChainChanged" && ending.from !== undefined) yield* takeBack(ending.from)
  const replaced = yield* rows.replacedSince({ table, newestReorg: stored.newestReorg })
  if (replaced !== undefined && replaced <= comparison.through) yield* takeBack(replaced)
  // What was replaced may not be followed yet: the newest stored block that the source still has ends the comparison.
  const above = history.findIndex(({ block }) => block >= comparison.through)
  const entries = history.slice(0, above + 1)
  let [accepted, rejected, probe]: Array<number | undefined> = [undefined, undefined, entries.length - 1]
  while (comparison.differing > 0 && probe !== accepted) {
    const entry = probe === undefined ? undefined : entries[probe]
    if (entry === undefined) return yield* chainChanged("no stored block that the server still has is known")
    const verdict = yield* isCanonical(manifest, network ?? "", entry)
    if (verdict === "unknown") {
      return ["whether the chain changed meanwhile could not be checked; verify again to be sure"]
    }
    if (verdict === "canonical") accepted = probe
    else rejected = probe
    probe = rejected === undefined ? accepted : nextProbe(rejected, accepted, entries.length - 1)
  }
  if (rejected !== undefined && accepted !== undefined) yield* takeBack(entries[accepted]!.block + 1n)
  return []
})

export const chainChanged = (what: string) =>
  notCompared(1, `the chain changed (${what}): verify again once the sync has followed it`)

/** Why blocks at the end are not compared; empty where all are. */
export const restOf = (
  { through }: BlockComparison,
  to: bigint,
  ending: Ending | undefined,
  serverEnd: ServerEnd
): ReadonlyArray<string> => {
  // What the server lacks is a difference, not a note.
  const last = serverEnd._tag === "EndsBelow" ? serverEnd.block : to
  if (through >= last) return []
  const rest = `blocks ${formatCount(through + 1n)} to ${formatCount(last)} are not compared`
  if (ending?._tag === "Silent") {
    return [`${rest}: ${serverEnd._tag === "EndsBelow" ? "the server does not declare them complete" : ending.reason}`]
  }
  if (serverEnd._tag === "Unknown") return [`${rest}: ${serverEnd.reason}`]
  return ending?._tag === "RangeEnds"
    ? [
      `${rest}: rows carry only the end of their range, and no stored range and range of the server end at the same block there`
    ]
    : [`${rest}: they were replaced meanwhile`]
}
