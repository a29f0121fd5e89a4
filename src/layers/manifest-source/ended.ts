/** How an evaluation ended, and the outcomes that concern the whole file. */

/** How an evaluation ended. */
export type Ended =
  | { readonly kind: "exported"; readonly value: unknown }
  | {
    readonly kind: "failed"
    readonly operation: "evaluate" | "validate"
    readonly reason: string
    readonly file: string | undefined
    readonly line: number | undefined
  }

/** A failure of the whole file, not of a line in it. */
export const failed = (reason: string): Ended => ({
  kind: "failed",
  operation: "evaluate",
  reason,
  file: undefined,
  line: undefined
})

/** The outcome of whichever thread notices first that the time is over. */
export const timedOut = (timeoutMillis: number): Ended =>
  failed(`did not finish within ${timeoutMillis / 1000} seconds`)
