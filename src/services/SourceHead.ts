/**
 * Queries the source's chain beside the streams: whether a block is canonical, and where the chain ends.
 *
 * Owns the query and its schedule, one for all tables of a network; the caller decides what follows from the result.
 */
import { Context, type Effect, Schema } from "effect"
import type { HeadReport } from "../domain/chain/sourceHead.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { Manifest } from "../domain/manifest/Manifest.ts"

export type { Head, HeadReport } from "../domain/chain/sourceHead.ts"

/** Why a check failed. */
export const SourceHeadReason = Schema.Literals([
  /** Nothing that the config depends on has a `blocks` table of the network. */
  "NoBlocksTable",
  /** The Admin API did not report which table it is. */
  "LookupFailed",
  "QueryFailed",
  "Timeout",
  "UnreadableAnswer"
])

export type SourceHeadReason = typeof SourceHeadReason.Type

/** The chain of a network could not be read. */
export class SourceHeadError extends Schema.TaggedError<SourceHeadError>()("SourceHeadError", {
  operation: Schema.Literal("check"),
  network: Schema.String,
  /** As written behind FROM; undefined where it was not found. */
  table: Schema.UndefinedOr(Schema.String),
  reason: SourceHeadReason,
  /** A sentence of bounded length. */
  detail: Schema.String,
  /** Whether the same check may succeed later without a change on the client's side. */
  retryable: Schema.Boolean
}) {
  override get message() {
    const from = this.table === undefined ? "" : ` from table ${this.table}`
    return `cannot read the chain of network "${this.network}"${from}: ${this.detail}`
  }
}

export class SourceHead extends Context.Service<SourceHead, {
  /**
   * Checks `block` against the chain of `network` in the config's `blocks` table. Where that chain has a block number `tip`,
   * above `block`, the head that is reported is at least that.
   *
   * Always ends: with a report, or with an error when the deadline has passed. Calls for the same network within a tenth of
   * a second share one query; interrupting one of them does not affect the others.
   */
  readonly check: (
    manifest: Manifest,
    network: string,
    block: Watermark,
    tip?: bigint
  ) => Effect.Effect<HeadReport, SourceHeadError>
  /**
   * Sleeps until the next poll of `network` by this process.
   *
   * All callers wake up at the same moment, so that their checks are one query. The phase differs between processes.
   */
  readonly nextTick: (network: string) => Effect.Effect<void>
}>()("ampsync/services/SourceHead") {}
