/** The search for the newest stored block that is canonical, over several connections. */
import type { History, Watermark } from "./watermarks.ts"
import { indexOf, nextProbe } from "./watermarks.ts"

/**
 * How a connection is opened: from which block, and why.
 *
 * `resume` requests the blocks after the newest watermark. `probe` requests those after an older one, because the newest is in
 * doubt: nothing is deleted before a candidate is accepted. `restart` requests the first block and replaces all rows.
 * The latter two name the watermarks they were decided on: they are void where another process wrote the table since.
 */
export type ResumeStrategy =
  | { readonly kind: "resume"; readonly resets: number }
  | {
    readonly kind: "probe"
    /** The entry whose block and hash are sent. */
    readonly candidate: Watermark
    /** The oldest entry known to be orphaned. */
    readonly rejected: Watermark
    /** The newest entry known to be canonical. */
    readonly accepted: Watermark | undefined
    /** The newest entry that the server did not answer for: neither it nor an older one is tried again. */
    readonly unanswered: Watermark | undefined
    readonly resets: number
  }
  | { readonly kind: "restart"; readonly replaced: Watermark | undefined }

/** The strategy of an ordinary connection. */
export const resume: ResumeStrategy = { kind: "resume", resets: 0 }
/** The strategy that replaces all rows of `history`. */
export const restart = (history: History): ResumeStrategy => ({ kind: "restart", replaced: history.at(-1) })

/** Returns the strategy if the history still has the watermarks it names, else `resume`. */
export const validStrategy = (strategy: ResumeStrategy, history: History): ResumeStrategy => {
  switch (strategy.kind) {
    case "resume":
      return strategy
    case "restart":
      return indexOf(history, strategy.replaced) === history.length - 1 ? strategy : resume
    case "probe": {
      const { accepted, candidate, rejected, unanswered } = strategy
      const entries = [candidate, rejected, accepted ?? candidate, unanswered ?? candidate]
      return entries.every((entry) => indexOf(history, entry) >= 0) ? strategy : resume
    }
  }
}

/** The watermark whose block and hash are sent to the server; undefined requests the first block. */
export const cursorOf = (strategy: ResumeStrategy, history: History): Watermark | undefined => {
  const valid = validStrategy(strategy, history)
  if (valid.kind === "restart") return undefined
  return valid.kind === "resume" ? history.at(-1) : valid.candidate
}

/**
 * The strategy once `rejected` and everything newer is known not to be canonical: it tries an older entry; undefined where none
 * is left. With `byOne` that is the entry just before, because it is likely to be canonical.
 */
export const rejectCandidate = (
  strategy: ResumeStrategy,
  history: History,
  rejected: Watermark,
  byOne: boolean
): ResumeStrategy | undefined => {
  if (strategy.kind === "restart") return undefined
  const at = indexOf(history, rejected)
  const earlier = strategy.kind === "probe" ? indexOf(history, strategy.accepted) : -1
  // A chain that went on changing may have orphaned what was canonical when the search began.
  const accepted = earlier >= 0 && earlier < at ? earlier : undefined
  const unanswered = strategy.kind === "probe" ? strategy.unanswered : undefined
  const next = byOne
    ? at - 1
    : accepted === undefined && unanswered !== undefined
    ? between(indexOf(history, unanswered), at)
    : nextProbe(at, accepted, history.length - 1)
  const candidate = next === undefined ? undefined : history[next]
  if (candidate === undefined) return undefined
  return {
    kind: "probe",
    candidate,
    rejected,
    accepted: accepted === undefined ? undefined : history[accepted],
    unanswered,
    resets: strategy.resets
  }
}

/**
 * The strategy once the server did not answer for its candidate, as for one below its first block: it tries a newer entry that
 * is not known to be orphaned; undefined where none is left. Where an entry is known to be canonical, the search goes on from it.
 */
export const skipCandidate = (strategy: ResumeStrategy, history: History): ResumeStrategy | undefined => {
  if (strategy.kind !== "probe") return undefined
  if (strategy.accepted !== undefined) return rejectCandidate(strategy, history, strategy.candidate, false)
  const next = between(indexOf(history, strategy.candidate), indexOf(history, strategy.rejected))
  return next === undefined ? undefined : { ...strategy, candidate: history[next]!, unanswered: strategy.candidate }
}

/** The index half-way between two others; undefined between neighbours. */
const between = (older: number, newer: number): number | undefined =>
  newer - older <= 1 ? undefined : older + Math.floor((newer - older) / 2)

/**
 * The strategy once its candidate is known to be canonical: it tries a newer entry; undefined where the candidate is the newest
 * canonical one.
 */
export const acceptCandidate = (strategy: ResumeStrategy, history: History): ResumeStrategy | undefined => {
  if (strategy.kind !== "probe") return undefined
  const [accepted, rejected] = [indexOf(history, strategy.candidate), indexOf(history, strategy.rejected)]
  if (rejected - accepted <= 1) return undefined
  const candidate = history[nextProbe(rejected, accepted, history.length - 1)!]!
  return { ...strategy, candidate, accepted: strategy.candidate }
}
