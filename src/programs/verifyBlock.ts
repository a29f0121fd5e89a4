import { Effect, Option, Result, Schedule, Stream } from "effect"
import { blockHashes } from "../domain/arrow/blockHashes.ts"
import { decodeFrame, noSchema } from "../domain/arrow/decodeFrame.ts"
import { decompress } from "../domain/arrow/decompress.ts"
import type { Verdict } from "../domain/chain/follow.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { Manifest } from "../domain/Manifest.ts"
import { AdminApi } from "../services/AdminApi.ts"
import { FlightClient, FlightError } from "../services/FlightClient.ts"

/** A server that hiccups is asked again for about a minute: an "unknown" marks the table for good. */
const patience = Schedule.exponential("200 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 8 }))

/** A server that accepts the query and says nothing must not hold the table up for ever. */
const ANSWER_WITHIN = "20 seconds"
const unanswered = new FlightError({
  operation: "DoGet",
  status: "DEADLINE_EXCEEDED",
  detail: "the hash of a block was not answered",
  retryable: true
})

/**
 * Whether a block is in the server's canonical chain, read from the `blocks` table of its network.
 *
 * "orphaned" is said only where the server shows another hash for that number; everything else is "unknown".
 */
export const verifyBlock = Effect.fn("verifyBlock")(function*(manifest: Manifest, network: string, block: Watermark) {
  const [admin, flight] = [yield* AdminApi, yield* FlightClient]
  const hashes = Effect.gen(function*() {
    const table = yield* admin.blocksTable(manifest, network)
    if (Option.isNone(table)) return []
    const query = `SELECT hash FROM ${table.value} WHERE block_num = ${block.block}`
    return yield* flight.query(query).pipe(
      Stream.mapAccumEffect(
        () => noSchema,
        (state, frame) =>
          Effect.fromResult(
            Result.map(decodeFrame(state, frame, { decompress }), ({ batch, state }) =>
              [state, batch === undefined ? [] : blockHashes(batch)] as const)
          )
      ),
      Stream.runCollect,
      Effect.timeoutOrElse({ duration: ANSWER_WITHIN, orElse: () => Effect.fail(unanswered) })
    )
  })
  return yield* hashes.pipe(
    Effect.retry(($) => $(patience).pipe(Schedule.while(({ input }) => "retryable" in input && input.retryable))),
    Effect.map((found) => verdictOf(found, block.hash)),
    Effect.catch((error) =>
      Effect.as(
        Effect.logWarning(`Block ${block.block} could not be checked against the server's chain: ${error.message}`),
        "unknown" as Verdict
      )
    )
  )
})

const verdictOf = (found: ReadonlyArray<string>, hash: string): Verdict =>
  found.includes(hash) ? "canonical" : found.length > 0 ? "orphaned" : "unknown"
