/** How a comparison ends. */
import { Schema } from "effect"

/** The comparison could not be made, or not to its end; `reason` has the cause and what to do. */
export class NotCompared extends Schema.TaggedError<NotCompared>()("NotCompared", {
  reason: Schema.String,
  exitCode: Schema.Literals([1, 2]),
  /** Whether what was compared is printed already. */
  isReported: Schema.Boolean
}) {
  override get message() {
    return this.reason
  }
}

/** How a comparison ended: at its last block, or before. */
export type Ending =
  | { readonly _tag: "Done" }
  /** Rows carry only the end of their range, and the next one of the server ends beyond the last block. */
  | { readonly _tag: "RangeEnds" }
  /** The server replaced blocks from `from` on, or it is not known from where on. */
  | { readonly _tag: "ChainChanged"; readonly reason: string; readonly from: bigint | undefined }
  | { readonly _tag: "Silent"; readonly reason: string }

export const notCompared = (exitCode: 1 | 2, reason: string) => new NotCompared({ reason, exitCode, isReported: false })

/** As `notCompared`, once what was compared is printed. */
export const brokenOff = (reason: string) => new NotCompared({ reason, exitCode: 1, isReported: true })
