/** Brings the times of an attempt into the status also where nothing is committed. */
import { Effect, Exit } from "effect"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import type { StageClock } from "./StageClock.ts"

/** Shorter than the interval at which metrics are usually read: a long wait must not come as one jump. */
const REPORT_INTERVAL = "5 seconds"

/** Records the times of `stages` every few seconds while `attempt` runs, and what is left when it has ended by itself. */
export const reportingStages = <A, E, R>(
  table: string,
  stages: StageClock,
  attempt: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | StatusRecorder> =>
  Effect.gen(function*() {
    const status = yield* StatusRecorder
    const record = Effect.suspend(() => status.record(table, { _tag: "TimePassed", stages: stages.take() }))
    return yield* Effect.raceFirst(attempt, Effect.forever(Effect.andThen(Effect.sleep(REPORT_INTERVAL), record))).pipe(
      // A table that is interrupted may be gone from the status already.
      Effect.onExit((exit) => Exit.hasInterrupts(exit) ? Effect.void : record)
    )
  })
