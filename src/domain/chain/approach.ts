import type { History, Watermark } from "./watermarks.ts"
import { nextProbe } from "./watermarks.ts"

/**
 * How a connection is opened, and what it is meant to find out.
 *
 * `resume` asks for what follows the newest watermark. `probe` asks from an older one, because the newest is in doubt:
 * nothing is deleted before one is proved. `restart` asks from the first block and replaces everything with what comes.
 */
export type Approach =
  | { readonly kind: "resume"; readonly resets: number }
  | {
    readonly kind: "probe"
    readonly index: number
    /** The oldest entry known to be orphaned. */
    readonly refuted: number
    /** The newest entry known to be canonical. */
    readonly proved: number | undefined
    readonly resets: number
  }
  | { readonly kind: "restart" }

export const resume: Approach = { kind: "resume", resets: 0 }
export const restart: Approach = { kind: "restart" }

/** The watermark whose block and hash are sent to the server; none asks for the first block. */
export const cursorOf = (approach: Approach, history: History): Watermark | undefined => {
  if (approach.kind === "restart") return undefined
  return approach.kind === "resume" ? history.at(-1) : history[approach.index]
}

/** The entry this approach asked from is not canonical: the next older one to ask, or none is left. */
export const refute = (approach: Approach, history: History): Approach | undefined => {
  if (approach.kind === "restart") return undefined
  const refuted = approach.kind === "probe" ? approach.index : history.length - 1
  return probe(approach, refuted, approach.kind === "probe" ? approach.proved : undefined, history)
}

/** The entry this approach asked from is canonical; a newer one may be too. None: it is the newest canonical one. */
export const prove = (approach: Approach, history: History): Approach | undefined => {
  if (approach.kind !== "probe" || approach.refuted - approach.index <= 1) return undefined
  return probe(approach, approach.refuted, approach.index, history)
}

const probe = (
  approach: Exclude<Approach, { kind: "restart" }>,
  refuted: number,
  proved: number | undefined,
  history: History
): Approach | undefined => {
  const index = nextProbe(refuted, proved, history.length - 1)
  return index === undefined ? undefined : { kind: "probe", index, refuted, proved, resets: approach.resets }
}
