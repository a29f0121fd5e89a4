/** The verb `status`: what the database has recorded of a sync, once or again and again. */
import {
  Clock,
  Console,
  Context,
  Data,
  type Duration,
  Effect,
  Exit,
  Layer,
  Option,
  Ref,
  Schema,
  Scope,
  Terminal
} from "effect"
import type { SqlError } from "effect/sql"
import { fit } from "../../../domain/display/Line.ts"
import { problemsOf, type SyncRecord } from "../../../domain/health/SyncRecord.ts"
import { formatTime } from "../../../domain/numbers.ts"
import { layerWith as pgPoolWith } from "../../../layers/PgPool.ts"
import { layer as recordedStatus } from "../../../layers/RecordedStatus.ts"
import { ConnectionConfig, DatabaseConfig, databasePlace } from "../../../services/Config.ts"
import { NothingRecorded, RecordedStatus } from "../../../services/RecordedStatus.ts"
import { Screen } from "../../../services/Screen.ts"
import { trackPending, withTimeLimit } from "../../timeLimit.ts"
import { statusJson } from "./statusJson.ts"
import { ageOf, statusLines } from "./statusText.ts"

export interface StatusOptions {
  readonly json: boolean
  readonly watch: boolean
  /** How long the database may take for one answer. */
  readonly timeout: Duration.Duration
}

/** The status was printed, and something in it needs attention. */
export class NotWell extends Data.TaggedError("NotWell") {
  readonly exitCode = 3
  override get message() {
    return ""
  }
}

/** The status could not be read. */
export class StatusFailed extends Schema.TaggedError<StatusFailed>()("StatusFailed", { reason: Schema.String }) {
  override get message() {
    return `no status could be read: ${this.reason}`
  }
}

/** The time between two reads while it is watched. */
const INTERVAL = "2 seconds"

/** A database that is down is reported at once. */
const services = Layer.provide(recordedStatus, pgPoolWith({ waits: false }))

/**
 * Reads the status; connects first where there is no connection yet, which then stays for the next read, until the scope
 * closes.
 */
const makeReader = Effect.fnUntraced(function*(timeout: Duration.Duration) {
  const scope = yield* Effect.scope
  const connected = yield* Ref.make(Option.none<Context.Context<RecordedStatus>>())
  const connect = Effect.gen(function*() {
    const attempt = yield* Scope.fork(scope)
    return yield* Layer.buildWithScope(services, attempt).pipe(
      Effect.tap((context) => Ref.set(connected, Option.some(context))),
      Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(attempt, exit))
    )
  })
  return Effect.flatMap(
    Ref.get(connected),
    (context) => Option.isSome(context) ? Effect.succeed(context.value) : connect
  )
    .pipe(
      Effect.flatMap((context) => Context.get(context, RecordedStatus).read),
      trackPending("database"),
      Effect.mapError((error: NothingRecorded | SqlError.SqlError) => new StatusFailed({ reason: error.message })),
      withTimeLimit(timeout, (reason) => new StatusFailed({ reason }))
    )
})

/** Columns of the terminal; undefined where the output is none. */
const terminalWidth = Effect.gen(function*() {
  const [{ isInteractive }, terminal] = [yield* Screen, yield* Terminal.Terminal]
  return isInteractive ? (yield* terminal.columns) || undefined : undefined
})

/** Prints the status; fails with `NotWell` where something needs attention, and with `StatusFailed` where it cannot be read. */
export const status = Effect.fn("status")(function*(options: StatusOptions) {
  const read = yield* makeReader(options.timeout)
  if (options.watch) return yield* watch(read, options)
  const record = yield* read
  if (options.json) yield* printJson(record)
  else {
    const screen = yield* Screen
    yield* screen.print(...statusLines(record, { place: yield* databasePlace, width: yield* terminalWidth }))
  }
  if (problemsOf(record).length > 0) return yield* new NotWell()
}, Effect.scoped)

const printJson = Effect.fnUntraced(function*(record: SyncRecord) {
  const document = statusJson(record, yield* ConnectionConfig, yield* DatabaseConfig)
  yield* Console.log(JSON.stringify(document, undefined, 2))
})

/** The last status that was read, and since when none can be read. */
interface Watched {
  readonly record: SyncRecord | undefined
  readonly failingSinceMillis: number | undefined
}

const watch = Effect.fnUntraced(
  function*<R>(read: Effect.Effect<SyncRecord, StatusFailed, R>, { json }: StatusOptions) {
    const screen = yield* Screen
    const where = yield* databasePlace
    const watched = yield* Ref.make<Watched>({ record: undefined, failingSinceMillis: undefined })

    const step = Effect.gen(function*() {
      const answer = yield* Effect.result(read)
      const now = yield* Clock.currentTimeMillis
      if (answer._tag === "Success") yield* Ref.set(watched, { record: answer.success, failingSinceMillis: undefined })
      else {
        yield* Ref.update(watched, (last) => ({ ...last, failingSinceMillis: last.failingSinceMillis ?? now }))
      }
      const { failingSinceMillis, record } = yield* Ref.get(watched)
      if (json) {
        return yield* answer._tag === "Success"
          ? printJson(answer.success)
          : Console.log(JSON.stringify({ ok: false, error: answer.failure.message }))
      }
      const outage = answer._tag === "Success" ? [] : [
        [{
          text: `${formatTime(now)}: ${answer.failure.message} (for ${
            ageOf(failingSinceMillis, now)
          }; trying again every 2 s)`,
          style: "red" as const
        }],
        ...(record === undefined ? [] : [[{ text: "Before that:", style: "dim" as const }]])
      ]
      const linesOf = (width: number | undefined) =>
        record === undefined ? [] : statusLines(record, { place: where, width })
      if (screen.isInteractive) {
        return yield* screen.show(({ columns }) =>
          [...outage, ...linesOf(columns - 1)].map((line) => fit(line, columns - 1))
        )
      }
      yield* screen.print(
        ...(outage.length > 0 ? outage.slice(0, 1) : [[`--- ${formatTime(now)}`], ...linesOf(undefined)])
      )
    })

    return yield* Effect.forever(Effect.andThen(step, Effect.sleep(INTERVAL)))
  }
)
