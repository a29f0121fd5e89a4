/** Runs attempt after attempt at one table, for as long as the config names it. */
import { Duration, Effect, Ref, Schedule, SubscriptionRef } from "effect"
import { backoff } from "../../domain/backoff.ts"
import { cursorOf, resume } from "../../domain/chain/resumeStrategy.ts"
import * as log from "../../domain/logLines.ts"
import { aboutTable } from "../../domain/logTargets.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { MAX_FAILED_ATTEMPTS } from "../../domain/TablePhase.ts"
import { SyncConfig } from "../../services/Config.ts"
import { isLocked } from "../../services/PgPool.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { TableLeases } from "../../services/TableLeases.ts"
import { TableSink } from "../../services/TableSink.ts"
import { dropFullIndex } from "./dropFullIndex.ts"
import type { ReconnectFrom } from "./Outcome.ts"
import { watchHead } from "./readHead.ts"
import { reserveFor } from "./standby.ts"
import { syncTable } from "./syncTable.ts"
import type { TableSession } from "./TableSession.ts"

/** A server that violates the protocol this often in a row will not stop doing so by itself. */
const MAX_VIOLATIONS = 5
/** A search for the newest canonical block takes a connection per step; beyond so many it is a failure like others. */
const MAX_SEARCH_STEPS = 40
/** A stream that was caught up for so long counts as progress, even if there was nothing to commit. */
const GOOD_STREAM = Duration.seconds(30)

const RECONNECT_DELAY = Duration.seconds(1)
const SECOND_CHECK_DELAY = Duration.seconds(2)
/** Longest delay between two attempts at rows that another session has locked. */
const MAX_LOCK_DELAY = Duration.seconds(60)
const NOTHING_CAME = "the server ended the stream, and nothing came of it"
const STANDBY_INTERVAL = Duration.seconds(2)
const retrySchedule = backoff("1 second", "60 seconds")

type TableFailure = Effect.Error<ReturnType<typeof syncUnlessReserve>>

/** What counts towards a stall or a park; progress resets all of it. */
interface FailureCounters {
  /** That another process writes the table is logged already. */
  readonly standingBy: boolean
  readonly attempts: number
  readonly violations: number
  readonly searches: number
  /** An attempt ended in a reconnection that is a failure when it is repeated. */
  readonly reopened: boolean
}

const noFailures: FailureCounters = { attempts: 0, violations: 0, searches: 0, standingBy: false, reopened: false }

/** An attempt without progress, although nothing failed. */
class NoProgress {
  readonly _tag = "NoProgress"
  readonly retryable = true
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/**
 * Syncs one table until a config replaces it: retries what may heal, stands by while another process writes, and parks the
 * table where only a change of the config helps. Invariant I4: its failures reach no other table.
 */
export const superviseTable = Effect.fn("superviseTable")(function*(session: TableSession) {
  const [leases, status] = [yield* TableLeases, yield* StatusRecorder]
  const { name } = session.table
  const failures = yield* Ref.make(noFailures)

  yield* attempt(session, failures).pipe(
    Effect.retry(($) =>
      $(retrySchedule).pipe(
        Schedule.while(({ input }) => Effect.map(Ref.get(failures), ({ violations }) => mayHeal(input, violations))),
        Schedule.tap(({ duration, input }) => reportFailure(session, failures, input, duration))
      )
    ),
    Effect.repeat(Schedule.spaced("100 millis")),
    Effect.catch((error) =>
      Effect.gen(function*() {
        yield* Ref.set(session.isParked, true)
        yield* SubscriptionRef.set(session.isWriter, false)
        session.kept.drop()
        yield* Effect.logError(log.parked(name, error.message))
        yield* status.record(name, { _tag: "Parked", reason: error.message })
        // Another process may have a config that works.
        yield* Effect.ignore(leases.release(name))
        return yield* Effect.never
      })
    ),
    Effect.ensuring(Effect.ignore(leases.release(name))),
    Effect.ensuring(Effect.sync(() => session.kept.drop()))
  )
}, (effect, session) => aboutTable(session.table.name)(effect))

/** Succeeds when the next attempt may follow at once; fails with what `mayHeal` decides on. */
const attempt = Effect.fnUntraced(function*(session: TableSession, failures: Ref.Ref<FailureCounters>) {
  const { name } = session.table
  yield* Ref.set(session.achieved, { progress: false, atTip: false })
  const [elapsed, ended] = yield* Effect.timed(Effect.result(syncUnlessReserve(session)))
  const { atTip, progress } = yield* Ref.get(session.achieved)
  const progressed = progress || (atTip && Duration.isGreaterThanOrEqualTo(elapsed, GOOD_STREAM))
  if (progressed) yield* Ref.set(failures, noFailures)
  if (ended._tag === "Failure" || ended.success._tag !== "Held") {
    yield* Ref.update(failures, (_) => ({ ..._, standingBy: false }))
  }
  if (ended._tag === "Failure") return yield* endInFailure(session, failures, ended.failure, progressed)
  const outcome = ended.success
  switch (outcome._tag) {
    case "Held":
      // Who took it over in the middle of an attempt is not known, unless it is still at work at the next one.
      yield* Ref.update(session.heldBy, (before) => outcome.writer ?? before ?? "another process")
      return yield* standBy(session, failures, outcome.reason)
    case "ReconnectFrom":
      if (!(yield* countsAsFailure(failures, outcome))) return yield* reconnect(session, failures, outcome)
      yield* Ref.set(session.strategy, outcome.strategy)
      return yield* endInFailure(session, failures, new NoProgress(outcome.reason), progressed)
    case "Ended":
      return yield* endInFailure(session, failures, new NoProgress(NOTHING_CAME), progressed)
    case "AtTip":
    case "Progressed":
      yield* Effect.logWarning(log.streamEnded(name))
      // A server may end a stream without an error; reconnecting at once would be a storm of connections.
      yield* Effect.sleep(RECONNECT_DELAY)
  }
})

/** As `syncTable`, but for a process with STANDBY, which waits for another one. */
const syncUnlessReserve = Effect.fnUntraced(function*(session: TableSession) {
  const writer = yield* session.shared.awaited
  return writer === undefined
    ? yield* syncTable(session)
    : { _tag: "Held", reason: reserveFor(writer), writer } as const
})

const endInFailure = Effect.fnUntraced(function*(
  session: TableSession,
  failures: Ref.Ref<FailureCounters>,
  error: TableFailure | NoProgress,
  progressed: boolean
) {
  if (isViolation(error)) yield* Ref.update(failures, (_) => ({ ..._, violations: _.violations + 1 }))
  if (error._tag === "RowTooLargeForIndex") {
    yield* dropFullIndex(session, error, (why) => pauseWhileLocked(session, failures, why, Effect.sleep))
  } else if (isLocked(error)) yield* waitForLock(session, failures, error)
  else if (!progressed || !mayHeal(error, 0)) return yield* Effect.fail(error)
  else {
    // The schedule of delays begins again with the next attempt.
    yield* reportFailure(session, failures, error, RECONNECT_DELAY)
    yield* Effect.sleep(RECONNECT_DELAY)
  }
})

/** Waits for the lock that another session holds on the table, without a permit and without a pooled connection. */
const waitForLock = Effect.fnUntraced(function*(
  session: TableSession,
  failures: Ref.Ref<FailureCounters>,
  error: TableFailure | NoProgress
) {
  const sink = yield* TableSink
  yield* pauseWhileLocked(session, failures, error, (delay) =>
    Effect.gen(function*() {
      const [waited] = yield* Effect.timed(Effect.ignore(sink.awaitUnlocked(session.table.name)))
      // A lock on rows cannot be waited for, and a new attempt at once would fail at once.
      yield* Effect.sleep(Duration.isLessThan(waited, RECONNECT_DELAY) ? delay : RECONNECT_DELAY)
    }))
})

/** Reports what failed because of a lock, and reads the head of the source while `wait` lasts: no stream is open that would. */
const pauseWhileLocked = Effect.fnUntraced(function*<R>(
  session: TableSession,
  failures: Ref.Ref<FailureCounters>,
  error: { readonly message: string },
  wait: (delay: Duration.Duration) => Effect.Effect<void, never, R>
) {
  const { attempts } = yield* Ref.get(failures)
  const delay = Duration.min(Duration.times(RECONNECT_DELAY, 2 ** attempts), MAX_LOCK_DELAY)
  yield* reportFailure(session, failures, error, delay)
  yield* Effect.raceFirst(wait(delay), watchHead(session))
})

const standBy = Effect.fnUntraced(function*(
  { isWriter, kept, strategy, table: { name } }: TableSession,
  failures: Ref.Ref<FailureCounters>,
  reason: string
) {
  const [status, { standby: isReserve }] = [yield* StatusRecorder, yield* SyncConfig]
  yield* SubscriptionRef.set(isWriter, false)
  kept.drop()
  // The search for a canonical block is left to the process that writes.
  yield* Ref.set(strategy, resume)
  const { standingBy } = yield* Ref.getAndUpdate(failures, (_) => ({ ..._, standingBy: true }))
  if (!standingBy) yield* (isReserve ? Effect.logInfo : Effect.logWarning)(log.standingBy(name, reason))
  yield* status.record(name, { _tag: "StandingBy", reason, isReserve })
  yield* Effect.sleep(STANDBY_INTERVAL)
})

const countsAsFailure = (failures: Ref.Ref<FailureCounters>, { isFailure }: ReconnectFrom): Effect.Effect<boolean> =>
  isFailure === "when repeated"
    ? Ref.modify(failures, (before) => [before.reopened, { ...before, reopened: true }])
    : Effect.succeed(isFailure)

const reconnect = Effect.fnUntraced(function*(
  session: TableSession,
  failures: Ref.Ref<FailureCounters>,
  { reason, strategy }: ReconnectFrom
) {
  yield* Ref.set(session.strategy, strategy)
  yield* Effect.logWarning(log.reconnecting(session.table.name, cursorBlock(strategy), reason))
  const { searches } = yield* Ref.updateAndGet(failures, (_) => ({ ..._, searches: _.searches + 1 }))
  if (searches > MAX_SEARCH_STEPS) yield* Effect.sleep("60 seconds")
  // A server that seems to have lost its chain may be starting up: the second check must not follow the first at once.
  if (strategy.kind !== "restart" && strategy.resets > 0) yield* Effect.sleep(SECOND_CHECK_DELAY)
})

/** The block that the next connection starts from, for the log. */
const cursorBlock = (strategy: ReconnectFrom["strategy"]): string =>
  strategy.kind === "restart"
    ? "the first block"
    : strategy.kind === "probe"
    ? `block ${cursorOf(strategy, [strategy.candidate, strategy.rejected])?.block ?? strategy.candidate.block}`
    : "the newest watermark"

const isViolation = (error: { readonly _tag: string }): boolean =>
  error._tag === "ProtocolViolation" || error._tag === "MalformedArrow" || error._tag === "MalformedMetadata"

const mayHeal = (error: TableFailure | NoProgress, violations: number): boolean => {
  if (isViolation(error)) return violations < MAX_VIOLATIONS
  // A login that fails worked before: a password in rotation becomes valid again.
  const isLogin = error._tag === "SqlError" && error.reason.operation === "connect"
  return isLogin || isRetryable(error)
}

const reportFailure = Effect.fnUntraced(function*(
  session: TableSession,
  failures: Ref.Ref<FailureCounters>,
  error: { readonly message: string },
  delay: Duration.Duration
) {
  const status = yield* StatusRecorder
  const { name } = session.table
  const { attempts } = yield* Ref.updateAndGet(failures, (_) => ({ ..._, attempts: _.attempts + 1 }))
  yield* Effect.logError(
    log.streamFailed(name, Math.min(attempts, MAX_FAILED_ATTEMPTS), MAX_FAILED_ATTEMPTS, error.message)
  )
  if (attempts === MAX_FAILED_ATTEMPTS) yield* Effect.logError(log.stalled(name, MAX_FAILED_ATTEMPTS))
  yield* Effect.logWarning(log.retrying(name, Math.max(1, Math.round(Duration.toSeconds(delay)))))
  const { rows: chunkRows } = yield* Ref.get(session.size)
  yield* status.record(name, { _tag: "Failed", attempts, reason: error.message, chunkRows })
})
