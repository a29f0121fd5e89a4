/** How an attempt at a table ended, where it did not fail. */
import type { ResumeStrategy } from "../../domain/chain/resumeStrategy.ts"

/** The next attempt must be opened as `strategy` describes. Nothing was deleted. */
export interface ReconnectFrom {
  readonly _tag: "ReconnectFrom"
  readonly strategy: ResumeStrategy
  readonly reason: string
  /** It counts as an attempt without progress. */
  readonly isFailure: boolean
}

export type Outcome =
  /** The server ended the stream after something was committed that was never committed before. */
  | { readonly _tag: "Progressed" }
  /** The stream ended when nothing was left to commit. */
  | { readonly _tag: "AtTip" }
  /** The server ended the stream, and nothing came of it. */
  | { readonly _tag: "Ended" }
  /** Another process writes the table. */
  | { readonly _tag: "Held"; readonly reason: string }
  | ReconnectFrom
