/** Variables that decide about colors. */
interface ColorVariables {
  readonly FORCE_COLOR?: string | undefined
  readonly NO_COLOR?: string | undefined
  readonly TERM?: string | undefined
}

/** Whether an output is colored. FORCE_COLOR has priority over NO_COLOR, and both over what the terminal is. */
export const isColored = ({ FORCE_COLOR, NO_COLOR, TERM }: ColorVariables, isTerminal: boolean): boolean => {
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false"
  return !NO_COLOR && TERM !== "dumb" && isTerminal
}
