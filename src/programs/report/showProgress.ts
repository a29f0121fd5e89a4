/** Shows the progress of a sync on the terminal that somebody watches. */
import { Clock, Effect } from "effect"
import type { Line } from "../../domain/display/Line.ts"
import { type Progress, progressView, tableCounts } from "../../domain/display/progressView.ts"
import { formatRoughly } from "../../domain/numbers.ts"
import { Screen } from "../../services/Screen.ts"
import { SyncStatus } from "../../services/SyncStatus.ts"
import { makeProgressReader } from "./readProgress.ts"

/** Often enough that figures seem to move. */
const REDRAW_INTERVAL = "200 millis"

/** Shows all tables under the lines of `heading` until it is interrupted; nothing where there is no terminal. */
export const showProgress = Effect.fnUntraced(function*<R>(
  heading: (progress: Omit<Progress, "heading">) => Effect.Effect<ReadonlyArray<Line>, never, R>
) {
  const screen = yield* Screen
  if (!screen.isInteractive) return yield* Effect.never
  const read = yield* makeProgressReader
  while (true) {
    const progress = yield* read
    const lines = yield* heading(progress)
    yield* screen.show((size) => progressView({ ...progress, heading: lines }, size))
    yield* Effect.sleep(REDRAW_INTERVAL)
  }
})

/** The dataset, the states of its tables, and how long the process runs. */
const syncHeading = Effect.fnUntraced(function*({ tables }: Omit<Progress, "heading">) {
  const status = yield* SyncStatus
  const config = yield* status.config
  const upSeconds = ((yield* Clock.currentTimeMillis) - status.startedAtMillis) / 1_000
  const version = config?.version === undefined || config.dataset.includes("@") ? "" : ` v${config.version}`
  const line: Line = [
    { text: config === undefined ? "starting" : `${config.dataset}${version}`, style: "bold" },
    "  ",
    ...tableCounts(tables),
    { text: `  up ${formatRoughly(upSeconds)}`, style: "dim" }
  ]
  return [line]
})

/** Prepares the terminal: from now on lines are broken between words, although nothing is shown yet. */
export const beginView = Effect.flatMap(Screen, ({ show }) => show(() => []))

/** Never ends, and leaves the terminal to the log where it fails: a display must not end a sync. */
const showSync = Effect.gen(function*() {
  const screen = yield* Screen
  return yield* showProgress(syncHeading).pipe(
    Effect.catchCause((cause) =>
      Effect.andThen(
        screen.leave,
        Effect.logError("The progress is no longer shown: internal error (please report it)", cause)
      )
    ),
    Effect.andThen(Effect.never),
    Effect.ensuring(screen.leave)
  )
})

/** Runs `sync` and shows its progress meanwhile; what comes after an interrupt is written below what was shown last. */
export const withProgress = <A, E, R>(sync: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | SyncStatus> =>
  Effect.raceFirst(sync, showSync)
