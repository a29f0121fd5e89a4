/** A `SourceHead` that a test answers for; without an answer the network has no table of blocks. */
import { Clock, Effect, Layer } from "effect"
import type { HeadReport } from "../../src/domain/chain/sourceHead.ts"
import type { Watermark } from "../../src/domain/chain/watermarks.ts"
import { SourceHead, SourceHeadError } from "../../src/services/SourceHead.ts"

export const TICK_MILLIS = 15_000

export const sourceHeadError = (
  fields: Partial<Pick<SourceHeadError, "reason" | "retryable" | "network">> = {}
): SourceHeadError =>
  new SourceHeadError({
    operation: "check",
    network: "anvil",
    table: undefined,
    reason: "NoBlocksTable",
    detail: "injected",
    retryable: false,
    ...fields
  })

/** Asked for block `block`, the `asked`-th time. */
export type HeadAnswer = (block: Watermark, asked: number) => Effect.Effect<HeadReport, SourceHeadError>

export interface RecordedHead {
  readonly layer: Layer.Layer<SourceHead>
  /** When it was asked, in milliseconds. */
  readonly askedAt: ReadonlyArray<number>
}

export const recordedHead = (answer: HeadAnswer = () => Effect.fail(sourceHeadError())): RecordedHead => {
  const askedAt: Array<number> = []
  return {
    askedAt,
    layer: Layer.succeed(SourceHead, {
      check: (_manifest, _network, block) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          askedAt.push(now)
          return answer(block, askedAt.length - 1)
        }),
      // The same moments for everyone, as the service promises.
      nextTick: () => Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(TICK_MILLIS - (now % TICK_MILLIS)))
    })
  }
}

/** The source has blocks up to `head`, and knows the block it was asked for. */
export const headAt = (head: number, verdict: HeadReport["verdict"] = "canonical"): HeadReport => ({
  verdict,
  head: { block: BigInt(head), hash: undefined, atSeconds: undefined, isExact: true }
})
