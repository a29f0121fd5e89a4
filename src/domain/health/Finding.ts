/** What one check of a prerequisite found. */

export type Outcome = "ok" | "warning" | "problem" | "skipped"

export interface Finding {
  readonly outcome: Outcome
  /** What was found; of a skipped check the reason. */
  readonly detail: string
  /** What to do; undefined where there is nothing to do. */
  readonly advice: string | undefined
}

export const ok = (detail: string): Finding => ({ outcome: "ok", detail, advice: undefined })
export const skipped = (reason: string): Finding => ({ outcome: "skipped", detail: reason, advice: undefined })
/** A sync works, but not as well or not as safely as it could. */
export const warning = (detail: string, advice: string): Finding => ({ outcome: "warning", detail, advice })
/** A sync does not work, or not for long. */
export const problem = (detail: string, advice: string): Finding => ({ outcome: "problem", detail, advice })

/** A check with its finding. */
export interface Check extends Finding {
  /** Stays the same from version to version; of a table it ends with the table's name. */
  readonly id: string
  readonly title: string
}
