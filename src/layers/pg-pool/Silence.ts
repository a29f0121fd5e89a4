/** Tells a statement that takes long from a connection that leads nowhere, where no timeout of PostgreSQL does. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"

/** What a session is doing, found out on another connection. */
export type Verdict =
  | { readonly kind: "working" }
  | { readonly kind: "unknown" }
  | { readonly kind: "lost"; readonly why: string }

export interface SilentSession {
  /** Of the server process; none behind a pooler, which gives out numbers of its own. */
  readonly processId: number | undefined
  /** What is not answered. */
  readonly statement: string
}

export interface SilenceLimits {
  /** An unanswered statement is looked into after so long, and again after as long. */
  readonly millis: number
  /** Never fails. Absent while nothing is known of the server: then silence alone decides. */
  readonly ask?: (session: SilentSession) => Promise<Verdict>
}

/** A server that hides what its sessions do is believed this often in a row. */
const MOST_UNKNOWN = 10
/** A statement may end at the very moment of the question: a session that is idle is asked about twice. */
const SECOND_LOOK_MILLIS = 1_000

/**
 * Calls `onLost` once when the answer to a statement will not come; the function that is returned ends the wait for it.
 *
 * A plain timer, because statements also run where nothing may interrupt them.
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
  const look = async (): Promise<void> => {
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
    timer = setTimeout(look, suspicions > 0 ? Math.min(SECOND_LOOK_MILLIS, millis / 4) : millis)
  }
  let timer = setTimeout(look, millis)
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

/** What every server keeps of a statement, and most servers ten times as much. Source: `track_activity_query_size`, minimum. */
const KEPT_CHARACTERS = 90

/**
 * Whether a session is at work, by `pg_stat_activity`. One that waits for its client is not: it has answered already, or
 * the statement has not reached it. Behind a pooler the session is the one that runs the same text, as far as the server
 * keeps it: what two tables are asked may differ only behind its first hundred characters.
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

/** A server that refuses the question is there, and may be busy; one that gives no answer is out of reach. */
export const unanswered = ({ message, reason }: SqlError.SqlError): Verdict =>
  typeof reason.cause === "string" && reason.cause.startsWith("SQLSTATE ")
    ? { kind: "unknown" }
    : { kind: "lost", why: `nor does the database answer on another connection (${message})` }

export const noAnswer: Verdict = { kind: "lost", why: "nor does the database answer on another connection" }
