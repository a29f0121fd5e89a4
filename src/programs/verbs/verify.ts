/** The verb `verify`: streams a table again and compares it with what is stored; changes nothing. */
import { Console, Data, type Duration, Effect, Fiber, Layer, Result, Schedule } from "effect"
import { newestBelow, type Watermark } from "../../domain/chain/watermarks.ts"
import { counted, formatCount } from "../../domain/numbers.ts"
import { designTable } from "../../domain/postgres/table/designTable.ts"
import { BlockComparison } from "../../domain/verify/BlockComparison.ts"
import { counterProblem, ledgerProblems } from "../../domain/verify/ledger.ts"
import { DatabaseConfig } from "../../services/Config.ts"
import { StoredRows, type StoredTable } from "../../services/StoredRows.ts"
import { TableSink } from "../../services/TableSink.ts"
import { requestOf } from "../reload/ActiveConfig.ts"
import { resolveNow } from "../reload/resolveNow.ts"
import { describeTable } from "../table/describeTable.ts"
import { trackPending, withTimeLimit } from "../timeLimit.ts"
import { tableOfConfig } from "./tableOfConfig.ts"
import { compareStream, type Comparing } from "./verify/compareStream.ts"
import { brokenOff, NotCompared, notCompared } from "./verify/Ending.ts"
import { formatReport, isEqual, isPartial, jsonFailure, jsonReport, type VerifyReport } from "./verify/report.ts"
import { reaches, serverEndOf } from "./verify/serverEnd.ts"
import { chainChanged, restOf, takeBackReplaced } from "./verify/takeBackReplaced.ts"
import { withoutDropped } from "./verify/withoutDropped.ts"

export interface VerifyOptions {
  readonly table: string
  /** The first block; that of the table where absent. */
  readonly from: bigint | undefined
  /** The last block; the watermark where absent. */
  readonly to: bigint | undefined
  readonly json: boolean
  /** How long server and database may take to answer, and the stream may be silent. */
  readonly timeout: Duration.Duration
}

/** The comparison was made and printed: something differs. */
export class VerifyDiffers extends Data.TaggedError("VerifyDiffers") {
  readonly exitCode = 3
  override get message() {
    return ""
  }
}

/** All that could be compared is equal, and was printed with what could not. */
export class VerifyPartial extends Data.TaggedError("VerifyPartial") {
  readonly exitCode = 4
  override get message() {
    return ""
  }
}

/** What is compared, before the database is read. */
const target = Effect.fnUntraced(function*(name: string) {
  const [sink, { databaseSchema }] = [yield* TableSink, yield* DatabaseConfig]
  const active = yield* resolveNow
  const table = yield* Effect.mapError(
    Effect.fromResult(tableOfConfig(active, name)),
    (reason) => notCompared(2, reason)
  )
  const request = requestOf(active, table, yield* trackPending("flight")(describeTable(table)))
  const design = yield* Effect.mapError(
    Effect.fromResult(designTable(databaseSchema, request)),
    (reason) => notCompared(1, `table "${name}" cannot be compared: ${reason}`)
  )
  const { kind } = yield* trackPending("database")(sink.plan(request))
  if (kind === "create") {
    return yield* notCompared(2, `there is no table "${name}" in schema "${databaseSchema}"; a start creates it`)
  }
  if (kind === "alter") {
    return yield* notCompared(1, `table "${name}" does not have the columns of its query yet: start the sync first`)
  }
  return { active, table, design, request }
})

type Target = Effect.Success<ReturnType<typeof target>>

/**
 * The block at which the stream begins, and the one before the first that is compared. Without `from` that is the first block
 * there can be: the recorded first block of the table is no proof that the server has none before it.
 */
const beginning = ({ checkpoint: { history, origin } }: StoredTable, from: bigint | undefined, rangeMode: boolean) => {
  const first = from ?? 0n
  const cursor: Watermark | undefined = first <= (origin ?? 0n) ? undefined : newestBelow(history, first)
  return { cursor, before: rangeMode ? cursor?.block ?? -1n : first - 1n }
}

const notesOf = ({ request, table }: Target, { recorded }: StoredTable): ReadonlyArray<string> => [
  ...(recorded.fingerprint === table.fingerprint ? [] : ["the query changed since the table was filled"]),
  ...(recorded.version === undefined || request.version === undefined || recorded.version === request.version
    ? []
    : [`the server was asked for version ${request.version}, and the table was filled from ${recorded.version}`])
]

const PROGRESS_INTERVAL = "5 seconds"

const logProgress = (comparison: BlockComparison, to: bigint) =>
  Effect.suspend(() =>
    comparison.rows === 0 ? Effect.void : Console.error(
      `compared up to block ${formatCount(comparison.through)} of ${formatCount(to)}: ${
        counted(comparison.rows, "row")
      }, ${comparison.differing === 0 ? "no difference" : `${counted(comparison.differing, "block")} with differences`}`
    )
  ).pipe(Effect.schedule(Schedule.spaced(PROGRESS_INTERVAL)), Effect.delay(PROGRESS_INTERVAL))

/** Compares on one snapshot of the database. */
const compare = Effect.fnUntraced(function*(
  found: Target,
  stored: StoredTable | undefined,
  { from, table, timeout, to: wantedTo }: VerifyOptions
) {
  if (stored === undefined) return yield* notCompared(2, `table "${table}" was never filled`)
  const counter = counterProblem(stored)
  const bookkeeping = [...ledgerProblems(stored), ...(counter === undefined ? [] : [counter])]
  const notes = notesOf(found, stored)
  const watermark = stored.checkpoint.history.at(-1)
  const nothing: VerifyReport = {
    table,
    blocks: undefined,
    comparison: undefined,
    serverEnd: undefined,
    bookkeeping,
    counter: counter === undefined ? "fits" : "wrong",
    notes
  }
  if (watermark === undefined) return { report: nothing, before: 0n, ending: undefined, stored }
  const to = wantedTo ?? watermark.block
  if (to > watermark.block) return yield* notCompared(2, `--to ${to} is above the watermark, block ${watermark.block}`)
  if (from !== undefined && from > to) {
    return yield* notCompared(
      2,
      `--from ${from} is above ${wantedTo === undefined ? "the watermark, block" : "--to"} ${to}`
    )
  }
  const rangeMode = found.design.position.position.kind === "rangeEnd"
  const { before, cursor } = beginning(stored, from, rangeMode)
  const comparison = new BlockComparison(before, rangeMode)
  const progress = yield* Effect.forkChild(logProgress(comparison, to))
  const comparing: Comparing = { ...found, stored, cursor, to, timeout }
  const ending = yield* compareStream(comparing, comparison).pipe(Effect.ensuring(Fiber.interrupt(progress)))
  const blocks = { from: before + 1n, to }
  return { report: { ...nothing, blocks, comparison }, before, ending, stored }
})

/**
 * Compares a table and prints the outcome. Fails with `VerifyDiffers` where something differs, and with `VerifyPartial` where
 * nothing does and blocks are left that could not be compared.
 */
export const verify = Effect.fn("verify")(function*(options: VerifyOptions) {
  const rows = yield* StoredRows
  const found = yield* withTimeLimit(options.timeout, (reason) => notCompared(1, reason))(target(options.table))
  const { before, ending, report: compared, stored } = yield* rows.snapshot(
    options.table,
    (stored) => compare(found, stored, options)
  )
  const { blocks, comparison } = compared
  const isDoubtful = comparison !== undefined && (ending?._tag === "ChainChanged" || comparison.differing > 0)
  const { manifest } = found.active
  const doubts = yield* Effect.result(
    isDoubtful ? takeBackReplaced(manifest, found.table.name, stored, comparison, ending) : Effect.succeed([])
  )
  const serverEnd = comparison === undefined
    ? reaches
    : yield* serverEndOf(manifest, stored.checkpoint.network, blocks!.to, comparison, ending)
  const isShort = serverEnd._tag === "EndsBelow"
  if (Result.isFailure(doubts) && !isShort) return yield* Effect.fail(doubts.failure)
  const rest = comparison === undefined ? [] : restOf(comparison, blocks!.to, ending, serverEnd)
  const report = withoutDropped(
    {
      ...compared,
      serverEnd: isShort ? serverEnd.block : undefined,
      notes: [...compared.notes, ...(Result.isFailure(doubts) ? [doubts.failure.message] : doubts.success), ...rest]
    },
    stored,
    options.from
  )
  if (comparison !== undefined && comparison.through <= before && blocks!.to > before && !isShort) {
    return yield* ending?._tag === "ChainChanged"
      ? chainChanged(ending.reason)
      : notCompared(1, `nothing was compared: ${rest.join("")}`)
  }
  yield* Console.log(options.json ? jsonReport(report) : formatReport(report))
  if (!isEqual(report)) return yield* new VerifyDiffers()
  if (comparison === undefined) return yield* brokenOff("nothing was compared: no block is complete yet")
  if (ending?._tag === "Silent") return yield* brokenOff(ending.reason)
  if (serverEnd._tag === "Unknown") {
    return yield* brokenOff(
      `it is not known whether the chain of the server still has block ${blocks!.to}: ${serverEnd.reason}`
    )
  }
  if (isPartial(report)) return yield* new VerifyPartial()
})

const isReported = (error: object): boolean =>
  error instanceof VerifyDiffers || error instanceof VerifyPartial || (error instanceof NotCompared && error.isReported)

/** Ends with one JSON document in any case. */
const withJson =
  ({ json, table }: VerifyOptions) =>
  <A, E extends { readonly message: string }, R>(verifying: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    json
      ? Effect.tapError(
        verifying,
        (error) => isReported(error) ? Effect.void : Console.log(jsonFailure(table, error.message))
      )
      : verifying

/** As `verify`, on services that are built first, within the same time limit. */
export const connectAndVerify = <S, E extends { readonly message: string }, R>(
  options: VerifyOptions,
  services: Layer.Layer<S, E, R>
) =>
  Effect.scoped(
    Effect.flatMap(
      withTimeLimit(options.timeout, (reason) => notCompared(1, reason))(Layer.build(services)),
      (built) => Effect.provideContext(verify(options), built)
    )
  ).pipe(withJson(options))
