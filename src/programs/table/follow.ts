/** Applies the chain rules to the frames of one stream. */
import { type Clock, Effect } from "effect"
import type { ColumnBatch } from "../../domain/arrow/ColumnBatch.ts"
import {
  type Followed,
  followFrame,
  type FollowState,
  type Frame,
  type Rejection
} from "../../domain/chain/followFrame.ts"
import { elapsedMillisOf } from "../../domain/elapsed.ts"
import type { ActiveConfig } from "../reload/ActiveConfig.ts"
import { ChainMismatch, ProtocolViolation, Reconnect } from "./Outcome.ts"
import type { StreamActivity } from "./StreamActivity.ts"
import { verifyBlock } from "./verifyBlock.ts"

/** Frame -> events of the table. A block that the chain rules doubt is checked first. */
export const follow = (active: ActiveConfig, activity: StreamActivity, clock: Clock.Clock) => {
  const act = Effect.fnUntraced(function*(state: FollowState, frame: Frame<ColumnBatch>, rejection: Rejection) {
    let step: Followed<ColumnBatch> | Rejection = rejection
    if (step._tag === "Verify") {
      const network = frame.metadata!.ranges[0]!.network
      activity.isIdle = false
      step = followFrame(state, frame, yield* verifyBlock(active.manifest, network, step.watermark))
    }
    switch (step._tag) {
      case "Followed":
        return [step.state, step.events] as const
      case "ReconnectFrom":
        return yield* Effect.fail(new Reconnect({ ...step, isFailure: false }))
      case "ChainMismatch":
        return yield* new ChainMismatch({ reason: step.reason })
      case "Violation":
        return yield* new ProtocolViolation({ reason: step.reason })
      case "Verify":
        return yield* Effect.die(new Error("I2: a verdict was asked for twice"))
    }
  })
  return (before: FollowState, frame: Frame<ColumnBatch>) => {
    activity.onMessage(elapsedMillisOf(clock))
    const state = activity.withoutDoubt(before)
    const step = followFrame(state, frame)
    return step._tag === "Followed" ? Effect.succeed([step.state, step.events] as const) : act(state, frame, step)
  }
}
