/** Decides whether a table that is about to be created gets its keys only once it has caught up. */
import { Deferred, Effect } from "effect"
import { DatabaseConfig } from "../../services/Config.ts"
import { SourceHead } from "../../services/SourceHead.ts"
import { type ActiveConfig, expectedNetwork } from "../reload/ActiveConfig.ts"
import type { TableSession } from "./TableSession.ts"

/** A shorter history is filled in seconds either way. */
const LONG_HISTORY_BLOCKS = 10_000n
/** Nothing is written meanwhile. */
const HEAD_TIMEOUT = "5 seconds"

/** Returns true where DEFER_INDEXES asks for it: with `auto` where the source is known to have a long history. */
export const defersIndexes = Effect.fnUntraced(function*({ caughtUp, table }: TableSession, active: ActiveConfig) {
  const { deferIndexes } = yield* DatabaseConfig
  // Its indexes are built already: a table that was dropped since would wait for them until the next start.
  if (deferIndexes === "off" || (yield* Deferred.isDone(caughtUp))) return false
  const network = expectedNetwork(active, table)
  if (deferIndexes === "always" || network === undefined) return deferIndexes === "always"
  const source = yield* SourceHead
  return yield* source.check(active.manifest, network, { block: 0n, hash: "" }).pipe(
    Effect.map(({ end, head }) =>
      (head?.block ?? 0n) >= LONG_HISTORY_BLOCKS || (end?.block ?? 0n) >= LONG_HISTORY_BLOCKS
    ),
    Effect.timeout(HEAD_TIMEOUT),
    Effect.orElseSucceed(() => false)
  )
})
