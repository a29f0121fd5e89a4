import type { History, Watermark } from "./watermarks.ts"
import { indexOf, nextProbe } from "./watermarks.ts"

/**
 * How a connection is opened, and what it is meant to find out.
 *
 * `resume` asks for what follows the newest watermark. `probe` asks from an older one, because the newest is in doubt:
 * nothing is deleted before one is proved. `restart` asks from the first block and replaces everything with what comes.
 * The latter two name the watermarks they were decided on: where another process wrote the table since, they are void.
 */
export type Approach =
  | { readonly kind: "resume"; readonly resets: number }
  | {
    readonly kind: "probe"
    readonly asked: Watermark
    /** The oldest entry known to be orphaned. */
    readonly refuted: Watermark
    /** The newest entry known to be canonical. */
    readonly proved: Watermark | undefined
    readonly resets: number
  }
  | { readonly kind: "restart"; readonly instead: Watermark | undefined }

export const resume: Approach = { kind: "resume", resets: 0 }
export const restart = (history: History): Approach => ({ kind: "restart", instead: history.at(-1) })

/** The approach as far as it holds for this history; a void one is `resume`. */
export const settle = (approach: Approach, history: History): Approach => {
  switch (approach.kind) {
    case "resume":
      return approach
    case "restart":
      return indexOf(history, approach.instead) === history.length - 1 ? approach : resume
    case "probe": {
      const entries = [approach.asked, approach.refuted, ...(approach.proved === undefined ? [] : [approach.proved])]
      return entries.every((entry) => indexOf(history, entry) >= 0) ? approach : resume
    }
  }
}

/** The watermark whose block and hash are sent to the server; none asks for the first block. */
export const cursorOf = (approach: Approach, history: History): Watermark | undefined => {
  const settled = settle(approach, history)
  if (settled.kind === "restart") return undefined
  return settled.kind === "resume" ? history.at(-1) : settled.asked
}

/**
 * `refuted` and what is newer is not canonical: the older entry to ask next, or none is left. `near`: the entry before it is
 * likely to be the one, so no distance is taken.
 */
export const refute = (
  approach: Approach,
  history: History,
  refuted: Watermark,
  near: boolean
): Approach | undefined => {
  if (approach.kind === "restart") return undefined
  const at = indexOf(history, refuted)
  const earlier = approach.kind === "probe" ? indexOf(history, approach.proved) : -1
  // A chain that went on changing may have orphaned what was canonical when the search began.
  const proved = earlier >= 0 && earlier < at ? earlier : undefined
  const next = near ? at - 1 : nextProbe(at, proved, history.length - 1)
  const asked = next === undefined ? undefined : history[next]
  if (asked === undefined) return undefined
  return {
    kind: "probe",
    asked,
    refuted,
    proved: proved === undefined ? undefined : history[proved],
    resets: approach.resets
  }
}

/** The entry this approach asked from is canonical; a newer one may be too. None: it is the newest canonical one. */
export const prove = (approach: Approach, history: History): Approach | undefined => {
  if (approach.kind !== "probe") return undefined
  const [proved, refuted] = [indexOf(history, approach.asked), indexOf(history, approach.refuted)]
  if (refuted - proved <= 1) return undefined
  const asked = history[nextProbe(refuted, proved, history.length - 1)!]!
  return { ...approach, asked, proved: approach.asked }
}
