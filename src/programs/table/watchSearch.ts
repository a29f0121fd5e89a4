/** Watches one step of the search for the newest canonical block: a connection that resumed from an older one. */
import { Effect, Result } from "effect"
import { rejectedBySource, unanswered } from "../../domain/chain/firstRange.ts"
import type { FollowState, Verdict } from "../../domain/chain/FollowState.ts"
import type { Watermark } from "../../domain/chain/watermarks.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { SourceHead } from "../../services/SourceHead.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { ChainMismatch, type Outcome } from "./Outcome.ts"
import type { StreamActivity } from "./StreamActivity.ts"

/** A server that walks back through 140 orphans was silent for 75 to 110 s meanwhile. */
const STEP_TIMEOUT_MILLIS = 180_000

export interface SearchStep {
  readonly table: string
  readonly manifest: Manifest
  readonly network: string
  readonly activity: StreamActivity
  /** As the connection was opened. */
  readonly start: FollowState
  /** The block it resumed from. */
  readonly asked: Watermark
}

/**
 * Ends without an outcome once a range has come, which the chain rules judge; with the next `ResumeStrategy` where the source
 * reports that the block is orphaned, or where nothing came in time.
 *
 * A canonical block is waited for without end: its chain may have no block after it.
 */
export const watchSearch = Effect.fn("watchSearch")(function*(
  step: SearchStep
): Effect.fn.Return<Outcome | undefined, ChainMismatch, SourceHead | StatusRecorder> {
  const { activity, asked, manifest, network, start, table } = step
  const [source, status] = [yield* SourceHead, yield* StatusRecorder]
  const began = yield* elapsedMillis
  const reason = `looking for the newest block that the source still has; asking from block ${asked.block}`
  yield* status.record(table, { _tag: "Searching", reason })
  let before: Verdict = "unknown"
  for (;;) {
    yield* source.nextTick(network)
    if (activity.hasRange) return undefined
    const answer = yield* Effect.result(source.check(manifest, network, asked))
    if (activity.hasRange) return undefined
    const verdict = Result.isSuccess(answer) ? answer.success.verdict : "unknown"
    // Only the second time: the range that shows it may be on its way.
    if (verdict === "orphaned" && before === "orphaned") {
      const rejected = rejectedBySource(start, asked)
      if (rejected._tag === "ChainMismatch") return yield* new ChainMismatch({ reason: rejected.reason })
      return { ...rejected, isFailure: false }
    }
    const isOverdue = (yield* elapsedMillis) - began >= STEP_TIMEOUT_MILLIS
    if (verdict === "unknown" && isOverdue) return unanswered(start, asked)
    before = verdict
  }
})
