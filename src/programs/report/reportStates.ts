/** Writes the states of tables and the outcome of the last reload into the bookkeeping, where other programs read them. */
import { Cause, Clock, Effect, Exit, Ref, Schedule } from "effect"
import { backoff } from "../../domain/backoff.ts"
import * as log from "../../domain/logLines.ts"
import { inTarget } from "../../domain/logTargets.ts"
import type { TableStatus } from "../../domain/TableStatus.ts"
import { Bookkeeping, type TableState } from "../../services/Bookkeeping.ts"
import { type ReloadStatus, SyncStatus } from "../../services/SyncStatus.ts"

/** `SyncStatus` is polled: every commit changes it, and only the newest state is of interest. */
const POLL_INTERVAL = "1 second"
/** Shorter than that of the heartbeat: where locks delay both, this one gives way. */
const TIMEOUT = "2 seconds"
/** What a database lost with its last transactions, as in a failover, is back after that. */
const REPEAT_INTERVAL = "1 minute"
/** Time that a stop grants for the state `stopped`. */
const SHUTDOWN_TIMEOUT = "1 second"

const retrySchedule = backoff("1 second", "10 seconds")

interface CurrentState extends Omit<TableState, "ageMillis"> {
  readonly sinceMillis: number
}

type States = ReadonlyMap<string, CurrentState>

/**
 * Writes the contents of `SyncStatus` into the database whenever a phase, a reason or the head of the source has changed, and once a
 * minute, in the background for as long as the scope is open; after an orderly end, the state `stopped`. Nothing waits for it, and its
 * failures end nothing else (I4).
 */
export const reportStates = Effect.gen(function*() {
  const [bookkeeping, status] = [yield* Bookkeeping, yield* SyncStatus]
  const loaded = { atMillis: yield* Clock.currentTimeMillis, reason: undefined }
  const current = yield* Ref.make<States>(new Map())
  const lastReported = yield* Ref.make<States>(new Map())
  const lastReportedReload = yield* Ref.make<Pick<ReloadStatus, "atMillis" | "reason"> | undefined>(undefined)
  const lastWarning = yield* Ref.make("")

  const reportChanged = Effect.fnUntraced(function*(states: States, now: number) {
    const before = yield* Ref.get(lastReported)
    const changed = [...states.values()].filter((state) => !isSame(before.get(state.table), state))
    if (changed.length > 0) {
      yield* bookkeeping.report(
        changed.map(({ sinceMillis, ...state }) => ({ ...state, ageMillis: now - sinceMillis }))
      )
    }
    yield* Ref.set(lastReported, states)
  })

  const reportReload = Effect.gen(function*() {
    const reload = (yield* status.reload) ?? loaded
    if ((yield* Ref.get(lastReportedReload)) === reload) return
    const { atMillis, reason } = reload
    yield* bookkeeping.reportReload({ reason, ageMillis: (yield* Clock.currentTimeMillis) - atMillis })
    yield* Ref.set(lastReportedReload, reload)
  })

  const poll = Effect.gen(function*() {
    const [tables, now] = [yield* status.get, yield* Clock.currentTimeMillis]
    yield* reportChanged(yield* Ref.updateAndGet(current, (earlier) => nextStates(tables, earlier, now)), now)
    yield* reportReload
    yield* Ref.set(lastWarning, "")
  }).pipe(
    Effect.timeout(TIMEOUT),
    Effect.tapError(({ message }) =>
      Effect.flatMap(
        Ref.getAndSet(lastWarning, message),
        (last) => last === message ? Effect.void : Effect.logWarning(log.statesNotReported(message))
      )
    ),
    inTarget("ampsync::report")
  )

  const stopped = Effect.gen(function*() {
    const tables = [...(yield* status.get).keys()]
    yield* bookkeeping.report(tables.map((table) => ({ table, state: "stopped", reason: undefined, ageMillis: 0 })))
  })

  yield* Effect.addFinalizer((exit) =>
    Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
      ? Effect.void
      : Effect.ignore(Effect.timeout(stopped, SHUTDOWN_TIMEOUT))
  )
  const forget = Effect.andThen(Ref.set(lastReported, new Map()), Ref.set(lastReportedReload, undefined))
  yield* Effect.forkScoped(Effect.repeat(Effect.retry(poll, retrySchedule), Schedule.spaced(POLL_INTERVAL)))
  yield* Effect.forkScoped(Effect.forever(Effect.delay(forget, REPEAT_INTERVAL)))
})

/** The states of `tables`; a table that is gone is `removed` from now on. */
const nextStates = (tables: ReadonlyMap<string, TableStatus>, earlier: States, now: number): States => {
  const gone = [...earlier.values()].filter(({ table }) => !tables.has(table))
  const states: ReadonlyArray<CurrentState> = [
    ...[...tables.values()].map(({ confirmations, phase, reason, sinceMillis, sourceHead, table }) => ({
      table,
      state: phase,
      reason,
      sourceHead,
      confirmations,
      sinceMillis
    })),
    ...gone.map(({ sinceMillis, state, table }) => ({
      table,
      state: "removed" as const,
      reason: log.tableRemoved(table),
      sinceMillis: state === "removed" ? sinceMillis : now
    }))
  ]
  return new Map(states.map((state) => [state.table, state]))
}

const isSame = (
  before: CurrentState | undefined,
  { confirmations, reason, sourceHead, state }: CurrentState
): boolean =>
  before !== undefined && before.state === state && before.reason === reason &&
  before.sourceHead?.block === sourceHead?.block && before.confirmations === confirmations
