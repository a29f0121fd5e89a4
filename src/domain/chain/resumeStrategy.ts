import type { History, Watermark } from "./watermarks.ts"
import { indexOf, nextProbe } from "./watermarks.ts"

/**
 * How a connection is opened, and what it is meant to find out.
 *
 * `resume` asks for what follows the newest watermark. `probe` asks from an older one, because the newest is in doubt:
 * nothing is deleted before one is accepted. `restart` asks from the first block and replaces everything with what comes.
 * The latter two name the watermarks they were decided on: where another process wrote the table since, they are void.
 */
export type ResumeStrategy =
  | { readonly kind: "resume"; readonly resets: number }
  | {
    readonly kind: "probe"
    readonly asked: Watermark
    /** The oldest entry known to be orphaned. */
    readonly rejected: Watermark
    /** The newest entry known to be canonical. */
    readonly accepted: Watermark | undefined
    /** The newest entry that gave no answer: neither it nor an older one is asked again. */
    readonly unanswered: Watermark | undefined
    readonly resets: number
  }
  | { readonly kind: "restart"; readonly instead: Watermark | undefined }

export const resume: ResumeStrategy = { kind: "resume", resets: 0 }
export const restart = (history: History): ResumeStrategy => ({ kind: "restart", instead: history.at(-1) })

/** The strategy as far as it holds for this history; a void one is `resume`. */
export const settle = (strategy: ResumeStrategy, history: History): ResumeStrategy => {
  switch (strategy.kind) {
    case "resume":
      return strategy
    case "restart":
      return indexOf(history, strategy.instead) === history.length - 1 ? strategy : resume
    case "probe": {
      const { accepted, asked, rejected, unanswered } = strategy
      const entries = [asked, rejected, accepted ?? asked, unanswered ?? asked]
      return entries.every((entry) => indexOf(history, entry) >= 0) ? strategy : resume
    }
  }
}

/** The watermark whose block and hash are sent to the server; none asks for the first block. */
export const cursorOf = (strategy: ResumeStrategy, history: History): Watermark | undefined => {
  const settled = settle(strategy, history)
  if (settled.kind === "restart") return undefined
  return settled.kind === "resume" ? history.at(-1) : settled.asked
}

/**
 * `rejected` and what is newer is not canonical: the older entry to ask next, or none is left. `near`: the entry before it is
 * likely to be the one, so no distance is taken.
 */
export const rejectCandidate = (
  strategy: ResumeStrategy,
  history: History,
  rejected: Watermark,
  near: boolean
): ResumeStrategy | undefined => {
  if (strategy.kind === "restart") return undefined
  const at = indexOf(history, rejected)
  const earlier = strategy.kind === "probe" ? indexOf(history, strategy.accepted) : -1
  // A chain that went on changing may have orphaned what was canonical when the search began.
  const accepted = earlier >= 0 && earlier < at ? earlier : undefined
  const unanswered = strategy.kind === "probe" ? strategy.unanswered : undefined
  const next = near
    ? at - 1
    : accepted === undefined && unanswered !== undefined
    ? between(indexOf(history, unanswered), at)
    : nextProbe(at, accepted, history.length - 1)
  const asked = next === undefined ? undefined : history[next]
  if (asked === undefined) return undefined
  return {
    kind: "probe",
    asked,
    rejected,
    accepted: accepted === undefined ? undefined : history[accepted],
    unanswered,
    resets: strategy.resets
  }
}

/**
 * The entry this strategy asked from gave no answer, as one below the server's first block: a newer one that is not known to be
 * orphaned, or none is left. Where an entry is known to be canonical, the search goes on from that one.
 */
export const skipCandidate = (strategy: ResumeStrategy, history: History): ResumeStrategy | undefined => {
  if (strategy.kind !== "probe") return undefined
  if (strategy.accepted !== undefined) return rejectCandidate(strategy, history, strategy.asked, false)
  const next = between(indexOf(history, strategy.asked), indexOf(history, strategy.rejected))
  return next === undefined ? undefined : { ...strategy, asked: history[next]!, unanswered: strategy.asked }
}

/** Half-way between two indices; none lies between neighbours. */
const between = (older: number, newer: number): number | undefined =>
  newer - older <= 1 ? undefined : older + Math.floor((newer - older) / 2)

/** The entry this strategy asked from is canonical; a newer one may be too. None: it is the newest canonical one. */
export const acceptCandidate = (strategy: ResumeStrategy, history: History): ResumeStrategy | undefined => {
  if (strategy.kind !== "probe") return undefined
  const [accepted, rejected] = [indexOf(history, strategy.asked), indexOf(history, strategy.rejected)]
  if (rejected - accepted <= 1) return undefined
  const asked = history[nextProbe(rejected, accepted, history.length - 1)!]!
  return { ...strategy, asked, accepted: strategy.asked }
}
