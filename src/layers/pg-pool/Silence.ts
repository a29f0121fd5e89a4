/** Distinguishes a long statement from a lost connection, where no timeout of PostgreSQL does. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"

/** What a session is doing, as read on another connection. */
export type Verdict =
  | { readonly kind: "working" }
  | { readonly kind: "unknown" }
  | { readonly kind: "lost"; readonly why: string }

/** A session with a statement that is not answered. */
export interface SilentSession {
  /** Of the server process; undefined behind a pooler, which has process ids of its own. */
  readonly processId: number | undefined
  /** The statement that is not answered. */
  readonly statement: string
}

/** How long a statement may stay without a response. */
export interface SilenceLimits {
  /** The interval at which the session of an unanswered statement is checked. */
  readonly millis: number
  /** Checks a session; never fails. Absent while the server is unknown: then the time alone decides. */
  readonly ask?: (session: SilentSession) => Promise<Verdict>
}

/** Most checks in a row without a result, on a server that hides what its sessions do. */
const MOST_UNKNOWN = 10
/** A statement may end at the moment of a check: an idle session is checked twice. */
const RECHECK_MILLIS = 1_000

/**
 * Calls `onLost` once when the connection of an unanswered statement counts as lost; the returned function ends the watch.
 *
 * A plain timer, because statements also run in uninterruptible regions.
 */
export const watchSilence = (
  { ask, millis }: SilenceLimits,
  session: SilentSession,
  onLost: (why: string) => void
): () => void => {
  const began = performance.now()
  let isOver = false
  let unknown = 0
  let suspicions = 0
  const check = async (): Promise<void> => {
    const verdict: Verdict = ask === undefined ? { kind: "lost", why: "" } : await ask(session)
    if (isOver) return
    unknown = verdict.kind === "unknown" ? unknown + 1 : 0
    suspicions = verdict.kind === "lost" ? suspicions + 1 : 0
    const isLost = suspicions >= (ask === undefined ? 1 : 2) || unknown >= MOST_UNKNOWN
    if (isLost) {
      isOver = true
      const why = verdict.kind === "lost" ? verdict.why : "the server does not show what its session does"
      return onLost(`was not answered for ${secondsSince(began)}${why === "" ? "" : `; ${why}`}`)
    }
    timer = setTimeout(check, suspicions > 0 ? Math.min(RECHECK_MILLIS, millis / 4) : millis)
  }
  let timer = setTimeout(check, millis)
  return () => {
    isOver = true
    clearTimeout(timer)
  }
}

/** For a message: `61 seconds`. */
export const secondsSince = (began: number): string => {
  const seconds = (performance.now() - began) / 1000
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} seconds`
}

/** The part of a statement that every server keeps; most keep ten times as much. Source: `track_activity_query_size`, minimum. */
const KEPT_CHARACTERS = 90

/**
 * Reads from `pg_stat_activity` whether a session is at work. One that waits for its client is not: it has responded already,
 * or the statement has not reached it. Behind a pooler the session is the one with the same text, as far as the server keeps
 * it: the statements of two tables may differ only after the first hundred characters.
 */
export const askAbout = <E>(
  run: (statement: string, params: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<unknown>, E>,
  { processId, statement }: SilentSession
): Effect.Effect<Verdict, E> => {
  const columns = "SELECT state, wait_event_type AS waits FROM pg_stat_activity WHERE"
  const found = processId === undefined
    ? run(
      `${columns} pid <> pg_backend_pid() AND datname = current_database() AND starts_with(query, $1)
         AND starts_with($2, query)
       ORDER BY state <> 'active', wait_event_type = 'Client' LIMIT 1`,
      [[...statement].slice(0, KEPT_CHARACTERS).join(""), statement]
    )
    : run(`${columns} pid = $1`, [processId])
  // Behind a pooler the text may be hidden: by `track_activities`, or from another role.
  const isHidden = (row: unknown): boolean => row === undefined && processId === undefined
  return Effect.map(found, ([row]) => isHidden(row) ? { kind: "unknown" } : verdictOf(row as SessionRow | undefined))
}

interface SessionRow {
  readonly state: string | null
  readonly waits: string | null
}

const verdictOf = (row: SessionRow | undefined): Verdict => {
  if (row === undefined) return { kind: "lost", why: "the server has no such session any more" }
  const { state, waits } = row
  if (state === null || state === "disabled") return { kind: "unknown" }
  const works = (state === "active" || state.startsWith("fastpath")) && waits !== "Client"
  return works ? { kind: "working" } : { kind: "lost", why: "the server's session waits for a statement or its data" }
}

/** The verdict of a failed check: a server that refuses it is reachable and may be busy, one that does not respond is lost. */
export const unanswered = ({ message, reason }: SqlError.SqlError): Verdict =>
  typeof reason.cause === "string" && reason.cause.startsWith("SQLSTATE ")
    ? { kind: "unknown" }
    : { kind: "lost", why: `nor does the database answer on another connection (${message})` }

/** The verdict of a check without a response. */
export const noAnswer: Verdict = { kind: "lost", why: "nor does the database answer on another connection" }
