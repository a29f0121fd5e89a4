import { Cause, Clock, Effect, Exit, Ref, Schedule } from "effect"
import { backoff } from "../../domain/backoff.ts"
import * as log from "../../domain/logLines.ts"
import type { TableStatus } from "../../domain/TableStatus.ts"
import { Bookkeeping, type TableState } from "../../services/Bookkeeping.ts"
import { type ReloadStatus, SyncStatus } from "../../services/SyncStatus.ts"

/** Every commit is a change of `SyncStatus`; a look now and then sees the newest of them and keeps none. */
const LOOK = "1 second"
/** Short of the heartbeat's: where locks make both wait, this one gives way. */
const PATIENCE = "2 seconds"
/** What a stop grants the last word. */
const LAST_WORD = "1 second"

const patience = backoff("1 second", "10 seconds")

interface Seen extends Omit<TableState, "ageMillis"> {
  readonly sinceMillis: number
}

type States = ReadonlyMap<string, Seen>

/**
 * Writes what `SyncStatus` contains into the database whenever a phase, a reason or the head of the source is another one, in the background for as
 * long as the scope is open; at an end in good order, that it was one. Nothing waits for it and nothing fails by it (I4).
 */
export const reportStates = Effect.gen(function*() {
  const [bookkeeping, status] = [yield* Bookkeeping, yield* SyncStatus]
  const loaded = { atMillis: yield* Clock.currentTimeMillis, reason: undefined }
  const seen = yield* Ref.make<States>(new Map())
  const told = yield* Ref.make<States>(new Map())
  const toldReload = yield* Ref.make<Pick<ReloadStatus, "atMillis" | "reason"> | undefined>(undefined)
  const complaint = yield* Ref.make("")

  const tell = Effect.fnUntraced(function*(states: States, now: number) {
    const before = yield* Ref.get(told)
    const news = [...states.values()].filter((state) => !isSame(before.get(state.table), state))
    if (news.length > 0) {
      yield* bookkeeping.report(news.map(({ sinceMillis, ...state }) => ({ ...state, ageMillis: now - sinceMillis })))
    }
    yield* Ref.set(told, states)
  })

  const tellReload = Effect.gen(function*() {
    const reload = (yield* status.reload) ?? loaded
    if ((yield* Ref.get(toldReload)) === reload) return
    const { atMillis, reason } = reload
    yield* bookkeeping.reportReload({ reason, ageMillis: (yield* Clock.currentTimeMillis) - atMillis })
    yield* Ref.set(toldReload, reload)
  })

  const look = Effect.gen(function*() {
    const [tables, now] = [yield* status.get, yield* Clock.currentTimeMillis]
    yield* tell(yield* Ref.updateAndGet(seen, (earlier) => see(tables, earlier, now)), now)
    yield* tellReload
    yield* Ref.set(complaint, "")
  }).pipe(
    Effect.timeout(PATIENCE),
    Effect.tapError(({ message }) =>
      Effect.flatMap(
        Ref.getAndSet(complaint, message),
        (last) => last === message ? Effect.void : Effect.logWarning(log.statesNotReported(message))
      )
    )
  )

  const stopped = Effect.gen(function*() {
    const tables = [...(yield* status.get).keys()]
    yield* bookkeeping.report(tables.map((table) => ({ table, state: "stopped", reason: undefined, ageMillis: 0 })))
  })

  yield* Effect.addFinalizer((exit) =>
    Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
      ? Effect.void
      : Effect.ignore(Effect.timeout(stopped, LAST_WORD))
  )
  yield* Effect.forkScoped(Effect.repeat(Effect.retry(look, patience), Schedule.spaced(LOOK)))
})

/** Tables that are gone are seen as such from now on. */
const see = (tables: ReadonlyMap<string, TableStatus>, earlier: States, now: number): States => {
  const gone = [...earlier.keys()].filter((table) => !tables.has(table))
  const states = [
    ...[...tables.values()].map(({ phase, reason, sourceHead, table }) => ({
      table,
      state: phase,
      reason,
      sourceHead
    })),
    ...gone.map((table) => ({ table, state: "removed" as const, reason: log.tableRemoved(table) }))
  ]
  return new Map(states.map((state) => {
    const was = earlier.get(state.table)
    return [state.table, { ...state, sinceMillis: was?.state === state.state ? was.sinceMillis : now }]
  }))
}

const isSame = (told: Seen | undefined, { reason, sourceHead, state }: Seen): boolean =>
  told !== undefined && told.state === state && told.reason === reason && told.sourceHead?.block === sourceHead?.block
