import { Clock, Duration, Effect, Ref, Schedule } from "effect"
import { backoff } from "../domain/backoff.ts"
import { resume } from "../domain/chain/approach.ts"
import type { Fenced, TableHeld } from "../services/Checkpoints.ts"
import { Checkpoints } from "../services/Checkpoints.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import type { OtherApproach } from "./followTable.ts"
import * as log from "./logLines.ts"
import type { TableSession } from "./syncTable.ts"
import { syncTable } from "./syncTable.ts"

/** Attempts without progress after which a table is reported as stalled; it keeps trying at the longest delay. */
const MAX_QUIET_ATTEMPTS = 5
/** A server that breaks the protocol this often in a row will not stop doing so by itself. */
const MAX_BREACHES = 5
/** A search for the newest canonical block takes a connection per step; beyond so many it is a failure like others. */
const MAX_SEARCH_STEPS = 40

/** A stream that was open and at the tip for so long was a good one, even if the chain gave it nothing to commit. */
const GOOD_STREAM_MILLIS = 30_000

const RECONNECT = Duration.seconds(1)
const SECOND_LOOK = Duration.seconds(2)
const patience = backoff("1 second", "60 seconds")

type TableFailure = Exclude<Effect.Error<ReturnType<typeof syncTable>>, TableHeld | Fenced | OtherApproach>

/**
 * Keeps one table going for as long as its generation lasts: retries what may heal, waits while another process writes,
 * and parks what nothing but a change of the config can help. Invariant I4: whatever happens to it happens to it alone.
 */
export const superviseTable = Effect.fn("superviseTable")(function*(session: TableSession) {
  const checkpoints = yield* Checkpoints
  const status = yield* SyncStatus
  const { name } = session.table
  const quiet = yield* Ref.make(noAttempts)

  yield* attempt(session, quiet).pipe(
    Effect.retry(($) =>
      $(patience).pipe(
        Schedule.while(({ input }) => Effect.map(Ref.get(quiet), ({ breaches }) => mayHeal(input, breaches))),
        Schedule.tap(({ duration, input }) => reportFailure(session, quiet, input, duration))
      )
    ),
    Effect.repeat(Schedule.spaced("100 millis")),
    Effect.catch((error) =>
      Effect.gen(function*() {
        yield* Effect.logError(log.parked(name, error.message))
        yield* status.update(name, () => ({ phase: "parked", reason: error.message }))
        // Another process may have the config that this one lacks.
        yield* Effect.ignore(checkpoints.release(name))
        return yield* Effect.never
      })
    ),
    Effect.ensuring(Effect.ignore(checkpoints.release(name)))
  )
}, (effect, session) => Effect.annotateLogs(effect, { table: session.table.name }))

interface Quiet {
  readonly attempts: number
  readonly breaches: number
  readonly searches: number
}

const noAttempts: Quiet = { attempts: 0, breaches: 0, searches: 0 }

/** Succeeds when the next attempt may follow at once; fails with what `mayHeal` decides on. */
const attempt = Effect.fnUntraced(function*(session: TableSession, quiet: Ref.Ref<Quiet>) {
  const status = yield* SyncStatus
  const { name } = session.table
  const madeProgress = yield* watchProgress(session)
  let progressed = false
  yield* syncTable(session).pipe(
    Effect.ensuring(Effect.gen(function*() {
      progressed = yield* madeProgress
      if (progressed) yield* Ref.set(quiet, noAttempts)
    })),
    Effect.andThen(Effect.logWarning(log.streamEnded(name))),
    // An end without a word is the server's right; coming back at once would make it a storm.
    Effect.andThen(Effect.sleep(RECONNECT)),
    Effect.catchTag(["TableHeld", "Fenced"], (error) => standBy(session, status, error)),
    Effect.catchTag("OtherApproach", (other) => approachOtherwise(session, quiet, other)),
    Effect.catch((error) =>
      Effect.gen(function*() {
        if (isBreach(error)) yield* Ref.update(quiet, (_) => ({ ..._, breaches: _.breaches + 1 }))
        if (!progressed || !mayHeal(error, 0)) return yield* error
        // Progress was made: the schedule of delays begins anew with the next attempt.
        yield* reportFailure(session, quiet, error, RECONNECT)
        yield* Effect.sleep(RECONNECT)
      })
    )
  )
})

/** From now on: whether something was committed, or the stream at least stood at the tip for long. */
const watchProgress = Effect.fnUntraced(function*({ commits, table }: TableSession) {
  const status = yield* SyncStatus
  const [before, began] = [yield* Ref.get(commits), yield* Clock.currentTimeMillis]
  return Effect.gen(function*() {
    if ((yield* Ref.get(commits)) !== before) return true
    const phase = (yield* status.get).get(table.name)?.phase
    return phase === "caught up" && (yield* Clock.currentTimeMillis) - began >= GOOD_STREAM_MILLIS
  })
})

const standBy = Effect.fnUntraced(function*(
  { approach, table: { name } }: TableSession,
  status: SyncStatus["Service"],
  error: TableHeld | Fenced
) {
  // What was found out of the chain is the other process's business now.
  yield* Ref.set(approach, resume)
  const was = (yield* status.get).get(name)
  if (was?.phase !== "standby") yield* Effect.logWarning(log.standingBy(name, error.message))
  yield* status.update(name, () => ({ phase: "standby", reason: error.message }))
  yield* Effect.sleep("2 seconds")
})

const approachOtherwise = Effect.fnUntraced(function*(
  { approach, table }: TableSession,
  quiet: Ref.Ref<Quiet>,
  other: OtherApproach
) {
  yield* Effect.logWarning(`Table '${table.name}' opens another stream: ${other.reason}`)
  yield* Ref.set(approach, other.approach)
  const { searches } = yield* Ref.updateAndGet(quiet, (_) => ({ ..._, searches: _.searches + 1 }))
  if (searches > MAX_SEARCH_STEPS) yield* Effect.sleep("60 seconds")
  // A server that seems to have lost its chain may be about to find it: the second look must not follow on the first.
  if (other.approach.kind !== "restart" && other.approach.resets > 0) yield* Effect.sleep(SECOND_LOOK)
})

const isBreach = (error: { readonly _tag: string }): boolean =>
  error._tag === "ProtocolBreach" || error._tag === "MalformedArrow" || error._tag === "MalformedMetadata"

const mayHeal = (error: TableFailure, breaches: number): boolean => {
  if (isBreach(error)) return breaches < MAX_BREACHES
  switch (error._tag) {
    case "FlightError":
      return error.retryable
    case "SqlError":
      // Rights that fail to connect had connected before: a password in rotation comes back.
      return error.isRetryable || error.reason.operation === "connect"
    case "EncodeError":
      // The server planned the query otherwise than a moment before: the next attempt asks it again.
      return error.kind === "schema"
    default:
      return false
  }
}

const reportFailure = Effect.fnUntraced(function*(
  session: TableSession,
  quiet: Ref.Ref<Quiet>,
  error: TableFailure,
  delay: Duration.Duration
) {
  const status = yield* SyncStatus
  const { name } = session.table
  const { attempts } = yield* Ref.updateAndGet(quiet, (_) => ({ ..._, attempts: _.attempts + 1 }))
  const phase = attempts < MAX_QUIET_ATTEMPTS ? "retrying" as const : "stalled" as const
  yield* Effect.logError(
    log.streamFailed(name, Math.min(attempts, MAX_QUIET_ATTEMPTS), MAX_QUIET_ATTEMPTS, error.message)
  )
  if (attempts === MAX_QUIET_ATTEMPTS) yield* Effect.logError(log.stalled(name, MAX_QUIET_ATTEMPTS))
  yield* Effect.logWarning(log.retrying(name, Math.max(1, Math.round(Duration.toSeconds(delay)))))
  yield* status.update(name, () => ({ phase, reason: error.message }))
})
