/** Checks whether a block that the chain rules doubt is canonical. */
import { Effect, Schedule } from "effect"
import type { Verdict } from "../../domain/chain/FollowState.ts"
import type { Watermark } from "../../domain/chain/watermarks.ts"
import * as log from "../../domain/logLines.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { SourceHead } from "../../services/SourceHead.ts"

/** For about a minute: a verdict "unknown" marks the table for good. */
const retrySchedule = Schedule.exponential("200 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 8 }))

/** The verdict of `SourceHead` on a block; "unknown", with a warning that has the reason, where the chain cannot be read. */
export const verifyBlock = Effect.fn("verifyBlock")(function*(manifest: Manifest, network: string, block: Watermark) {
  const source = yield* SourceHead
  return yield* source.check(manifest, network, block).pipe(
    Effect.map(({ verdict }) => verdict),
    Effect.retry(($) => $(retrySchedule).pipe(Schedule.while(({ input }) => isRetryable(input)))),
    Effect.catch((error) =>
      Effect.as(
        error.reason === "NoBlocksTable"
          ? Effect.void
          : Effect.logWarning(log.blockNotChecked(block.block, error.message)),
        "unknown" as Verdict
      )
    )
  )
})
