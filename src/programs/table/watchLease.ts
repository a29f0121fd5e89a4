/** Checks between two commits that the database still has the last one. */
import { Effect } from "effect"
import { resume } from "../../domain/chain/resumeStrategy.ts"
import type { TableWriter } from "../../services/TableSink.ts"
import type { Outcome } from "./Outcome.ts"
import type { StreamActivity } from "./StreamActivity.ts"
import type { Turn } from "./Turn.ts"

/** A commit checks it too, but a table may have none for days. */
const CHECK_INTERVAL = "5 seconds"

/**
 * Ends once another process has taken over, or the database has lost transactions, as a promoted replica may: rows are missing
 * then that the stream will not send again.
 */
export const watchLease = Effect.fn("watchLease")(
  function*(
    writer: TableWriter,
    activity: StreamActivity,
    turn: Pick<Turn, "isBuilding">
  ): Effect.fn.Return<Outcome> {
    for (;;) {
      yield* Effect.sleep(CHECK_INTERVAL)
      if (!activity.isIdle && !turn.isBuilding()) continue
      // A database that does not answer shows at the next commit.
      const isCurrent = yield* Effect.orElseSucceed(writer.isCurrent, () => true)
      if (isCurrent) continue
      const reason = "the database no longer has the last commit: it lost transactions, or another process took over"
      return { _tag: "ReconnectFrom", strategy: resume, reason, isFailure: false }
    }
  }
)
