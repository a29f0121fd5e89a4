/** A `SourceHead` with the results of a test; by default the network has no table of blocks. */
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

/** The result of check number `index`, counted from 0, of `block`. */
export type HeadAnswer = (block: Watermark, index: number) => Effect.Effect<HeadReport, SourceHeadError>

export interface RecordedHead {
  readonly layer: Layer.Layer<SourceHead>
  /** The time of each check, in milliseconds. */
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
      // The same moments for all callers, as in the service.
      nextTick: () => Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(TICK_MILLIS - (now % TICK_MILLIS)))
    })
  }
}

/** A report that the source has blocks up to `head`, and the checked block by default. */
export const headAt = (head: number, verdict: HeadReport["verdict"] = "canonical"): HeadReport => ({
  verdict,
  head: { block: BigInt(head), hash: undefined, atSeconds: undefined, isExact: true }
})
