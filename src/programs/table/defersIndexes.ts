/** Decides whether a table that is about to be created gets its keys only once it has caught up. */
import { Effect } from "effect"
import { ANY_BLOCK } from "../../domain/chain/sourceHead.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { DatabaseConfig } from "../../services/Config.ts"
import { SourceHead } from "../../services/SourceHead.ts"
import { type ActiveConfig, expectedNetwork } from "../reload/ActiveConfig.ts"

/** A shorter history is filled in seconds either way. */
const LONG_HISTORY_BLOCKS = 10_000n
/** Nothing is written meanwhile. */
const HEAD_TIMEOUT = "5 seconds"

/**
 * Returns true where DEFER_INDEXES asks for it: with `auto` where the source is known to have a long history and the table is not
 * published to followers of the write-ahead log.
 */
export const defersIndexes = Effect.fnUntraced(function*(
  active: ActiveConfig,
  table: TableSpec,
  /** That of its stream, where it named one. */
  streamNetwork: string | undefined
) {
  const { deferIndexes, publication } = yield* DatabaseConfig
  if (deferIndexes !== "auto") return deferIndexes === "always"
  // ElectricSQL, Debezium and others make the keys of rows from the primary key: one that comes later changes all of them.
  if (publication !== undefined) return false
  const network = streamNetwork ?? expectedNetwork(active, table)
  if (network === undefined) return false
  const source = yield* SourceHead
  return yield* source.check(active.manifest, network, ANY_BLOCK).pipe(
    Effect.map(({ end, head }) => [end, head].some((found) => (found?.block ?? 0n) >= LONG_HISTORY_BLOCKS)),
    Effect.timeout(HEAD_TIMEOUT),
    Effect.orElseSucceed(() => false)
  )
})
