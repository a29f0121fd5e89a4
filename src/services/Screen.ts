/**
 * The terminal that a person watches: log lines that scroll, and below them a view that is redrawn in place.
 *
 * Owns the lower part of the terminal and nothing of what is shown there. What is written to standard output or
 * standard error meanwhile appears above the view.
 */
import { Context, Effect } from "effect"
import type { Line } from "../domain/display/Line.ts"
import type { Size } from "../domain/display/progressView.ts"

export interface ScreenShape {
  /** False where standard output is a file, a pipe, or a terminal that cannot move its cursor: nothing is redrawn there. */
  readonly isInteractive: boolean
  /** Writes lines that stay, above the view. */
  readonly print: (...lines: ReadonlyArray<Line>) => Effect.Effect<void>
  /**
   * Shows a view from now on, in place of the one before it, and whenever the size of the terminal changes. Its lines are no
   * wider than the terminal. Where it is the same as before nothing is written.
   */
  readonly show: (view: (size: Size) => ReadonlyArray<Line>) => Effect.Effect<void>
  /** Leaves what is shown where it is, for good: others write below it from now on. */
  readonly leave: Effect.Effect<void>
}

/** Without a layer for it nothing is shown, as in a host program. */
export const Screen: Context.Reference<ScreenShape> = Context.Reference<ScreenShape>("ampsync/services/Screen", {
  defaultValue: () => ({ isInteractive: false, print: () => Effect.void, show: () => Effect.void, leave: Effect.void })
})
