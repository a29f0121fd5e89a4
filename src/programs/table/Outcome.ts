/** How an attempt at a table ended. */
import { Schema } from "effect"
import type { ResumeStrategy } from "../../domain/chain/resumeStrategy.ts"

/** The next attempt must be opened as `strategy` describes. Nothing was deleted. */
export interface ReconnectFrom {
  readonly _tag: "ReconnectFrom"
  readonly strategy: ResumeStrategy
  readonly reason: string
  /** Whether it counts as an attempt without progress: "when repeated" where the one before ended so too, and nothing came between. */
  readonly isFailure: boolean | "when repeated"
}

export type Outcome =
  /** The server ended the stream after something was committed that was never committed before. */
  | { readonly _tag: "Progressed" }
  /** The stream ended when nothing was left to commit. */
  | { readonly _tag: "AtTip" }
  /** The server ended the stream, and nothing came of it. */
  | { readonly _tag: "Ended" }
  /** Another process writes the table. */
  | { readonly _tag: "Held"; readonly reason: string; readonly writer?: string }
  | ReconnectFrom

/** Fails the pipeline to end the attempt with `outcome`. */
export class Reconnect {
  readonly _tag = "Reconnect"
  readonly outcome: ReconnectFrom
  constructor(outcome: ReconnectFrom) {
    this.outcome = outcome
  }
}

/** The server violates the protocol; after repeated violations the table is parked. */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>()("ProtocolViolation", {
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

/** Rows wait for confirmations, no more have room, and whether they are confirmed cannot be found out. */
export class Unconfirmable extends Schema.TaggedError<Unconfirmable>()("Unconfirmable", { reason: Schema.String }) {
  readonly retryable = true
  override get message() {
    return this.reason
  }
}

/** The server's chain has nothing in common with the stored one. */
export class ChainMismatch extends Schema.TaggedError<ChainMismatch>()("ChainMismatch", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}
