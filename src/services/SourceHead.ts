/**
 * Asks the source about its chain beside the streams: is this block canonical, and where does the chain end?
 *
 * Owns the question and its pace, one for all tables of a network; what follows from the answer is the caller's decision.
 */
import { Context, type Effect, Schema } from "effect"
import type { HeadReport } from "../domain/chain/sourceHead.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { Manifest } from "../domain/manifest/Manifest.ts"

export type { Head, HeadReport } from "../domain/chain/sourceHead.ts"

export const SourceHeadReason = Schema.Literals([
  /** Nothing that the config depends on has a `blocks` table of the network. */
  "NoBlocksTable",
  /** The Admin API did not say which table it is. */
  "LookupFailed",
  "QueryFailed",
  "Timeout",
  "UnreadableAnswer"
])

export type SourceHeadReason = typeof SourceHeadReason.Type

export class SourceHeadError extends Schema.TaggedError<SourceHeadError>()("SourceHeadError", {
  operation: Schema.Literal("check"),
  network: Schema.String,
  /** As it stands behind FROM; undefined where it was not found. */
  table: Schema.UndefinedOr(Schema.String),
  reason: SourceHeadReason,
  /** A sentence of bounded length. */
  detail: Schema.String,
  /** Whether the same question may have an answer later with nothing changed on our side. */
  retryable: Schema.Boolean
}) {
  override get message() {
    const from = this.table === undefined ? "" : ` from table ${this.table}`
    return `cannot read the chain of network "${this.network}"${from}: ${this.detail}`
  }
}

export class SourceHead extends Context.Service<SourceHead, {
  /**
   * Checks `block` against the chain of `network`, which the config's `blocks` table shows.
   *
   * Always ends: with an answer, or with an error when the deadline has passed. Calls for the same network that come within
   * a tenth of a second are one query; interrupting one of them does not disturb the others.
   */
  readonly check: (manifest: Manifest, network: string, block: Watermark) => Effect.Effect<HeadReport, SourceHeadError>
  /**
   * Sleeps until the next moment at which this process asks about `network`.
   *
   * It is the same moment for everyone who waits, so that what they then ask is one query, and another one in each process.
   */
  readonly nextTick: (network: string) => Effect.Effect<void>
}>()("ampsync/services/SourceHead") {}
