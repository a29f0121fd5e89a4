/** What a start would do to the database, without doing any of it. */
import { Console, Data, Effect, Schema } from "effect"
import type { SqlError } from "effect/sql"
import { datasetId } from "../../domain/manifest/Dataset.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { counted } from "../../domain/numbers.ts"
import { sameColumns } from "../../domain/postgres/table/compareTable.ts"
import { createIndex, createPartitionedIndex } from "../../domain/postgres/table/tableIndexes.ts"
import { Bookkeeping } from "../../services/Bookkeeping.ts"
import { DatabaseConfig } from "../../services/Config.ts"
import type { FlightError } from "../../services/FlightClient.ts"
import { TableIndexes } from "../../services/TableIndexes.ts"
import type { TableRejected } from "../../services/TableLeases.ts"
import type { TablePlan } from "../../services/TableSink.ts"
import type { ActiveConfig } from "../reload/ActiveConfig.ts"
import { resolveNow } from "../reload/resolveNow.ts"
import { isAboutQuery } from "../reload/resolveWithoutAdminApi.ts"
import type { UnreadableSchema } from "../table/describeTable.ts"
import { tryTable } from "../table/tryTable.ts"
import { trackPending } from "../timeLimit.ts"
import { untilAnswered } from "../untilAnswered.ts"

/** What a start would do with one table. */
export interface PlannedTable extends Omit<TablePlan, "kind" | "indexed"> {
  readonly kind: TablePlan["kind"] | "reject"
  /** Why it would be parked. */
  readonly reason: string | undefined
  /** What would follow in the background, once the table has caught up. */
  readonly indexes: ReadonlyArray<string>
}

export interface DatasetPlan {
  /** `namespace/name`. */
  readonly dataset: string
  readonly version: string
  readonly schema: string
  readonly outcome: "nothing" | "changes" | "rejected"
  /** Statements that create or update the bookkeeping tables. */
  readonly bookkeeping: ReadonlyArray<string>
  readonly tables: ReadonlyArray<PlannedTable>
}

/** The plan was made and printed; its outcome is the exit code of the process. */
export class PlanOutcome extends Data.TaggedError("PlanOutcome")<{ readonly exitCode: 3 | 4 }> {
  override get message() {
    return ""
  }
}

/** No plan could be made. */
export class PlanFailed extends Schema.TaggedError<PlanFailed>()("PlanFailed", { reason: Schema.String }) {
  override get message() {
    return `no plan could be made: ${this.reason}`
  }
}

/** Plans every table of the config as a start would; retries an Admin API or an Arrow Flight that does not answer. */
export const planDataset = Effect.gen(function*() {
  const { pending } = yield* Bookkeeping
  const { databaseSchema: schema } = yield* DatabaseConfig
  const active = yield* resolveNow
  const { info } = active
  const bookkeeping = yield* trackPending("database")(pending)
  const tables = yield* Effect.forEach(active.manifest.tables, (table) => planTable(schema, active, table), {
    concurrency: 4
  })
  const changes = bookkeeping.length > 0 || tables.some(({ indexes, kind }) => kind !== "none" || indexes.length > 0)
  const outcome = tables.some(({ kind }) => kind === "reject") ? "rejected" : changes ? "changes" : "nothing"
  const plan: DatasetPlan = {
    dataset: datasetId(info ?? active.config.dataset),
    version: info?.version ?? active.config.dataset.revision ?? "newest",
    schema,
    outcome,
    bookkeeping,
    tables
  }
  return plan
})

const planTable = (schema: string, active: ActiveConfig, table: TableSpec) =>
  Effect.gen(function*() {
    const indexes = yield* TableIndexes
    const { name, settings } = table
    const { indexed, ...plan } = yield* untilAnswered(tryTable(active, table), isDown)
    const { missing } = yield* trackPending("database")(indexes.plan(name, settings.indexes))
    // One statement stands for those of all partitions.
    const create = settings.partitionBy === undefined ? createIndex : createPartitionedIndex
    const later = missing.filter(({ columns }) => !indexed.some((index) => sameColumns(index, columns)))
    return {
      ...plan,
      reason: undefined,
      indexes: later.map((index) => create({ schema, table: name }, index.name, index.columns))
    }
  }).pipe(
    Effect.catchIf(isRejection, (error) => Effect.succeed(rejected(table, error)))
  )

/** Arrow Flight does not answer; what it answers about a query is a part of the plan. */
const isDown = (error: FlightError | { readonly _tag: "SqlError" | "TableRejected" | "UnreadableSchema" }): boolean =>
  error._tag === "FlightError" && error.retryable && !isAboutQuery(error)

/** The server's reply about the query counts, also where a sync would ask again. */
const isRejection = (
  error: FlightError | SqlError.SqlError | TableRejected | UnreadableSchema
): error is FlightError | TableRejected | UnreadableSchema =>
  error._tag === "FlightError"
    ? isAboutQuery(error)
    : error._tag !== "SqlError"

const rejected = ({ name }: TableSpec, error: FlightError | TableRejected | UnreadableSchema): PlannedTable => ({
  table: name,
  kind: "reject",
  startsAtFirstBlock: false,
  statements: [],
  notes: [],
  indexes: [],
  reason: error._tag === "TableRejected" ? error.reason : error.message
})

export interface PlanOptions {
  /** One JSON document, with every statement. */
  readonly json: boolean
  /** The statements of the bookkeeping as well. */
  readonly sql: boolean
}

/** Prints the plan. Fails with `PlanOutcome` where there is something to do. */
export const plan = Effect.fn("plan")(function*({ json, sql }: PlanOptions) {
  const found = yield* planDataset
  yield* Console.log(json ? JSON.stringify(found, undefined, 2) : formatPlan(found, sql))
  if (found.outcome === "rejected") return yield* new PlanOutcome({ exitCode: 4 })
  if (found.outcome === "changes") return yield* new PlanOutcome({ exitCode: 3 })
})

const formatPlan = ({ bookkeeping, dataset, schema, tables, version }: DatasetPlan, sql: boolean): string =>
  [
    `Dataset ${dataset} ${version}, schema "${schema}"`,
    ...(bookkeeping.length === 0
      ? []
      : [`bookkeeping: ${summaryOf(schema, bookkeeping)}${sql ? "" : "; --sql prints them"}`]),
    ...(sql ? bookkeeping.map(indented) : []),
    ...tables.flatMap(formatTable)
  ].join("\n")

/** How many statements there are, and what they create or change. */
const summaryOf = (schema: string, statements: ReadonlyArray<string>): string => {
  const names = statements.flatMap((statement) => statement.match(/\b_ampsync_[a-z]+\b/)?.[0] ?? [])
  const created = statements.some((statement) => statement.startsWith("CREATE SCHEMA")) ? [`schema "${schema}"`] : []
  return `${counted(statements.length, "statement")} for ${[...created, ...new Set(names)].join(", ")}`
}

const formatTable = ({ indexes, notes, statements, ...planned }: PlannedTable): ReadonlyArray<string> => [
  `${planned.table}: ${headingOf(planned)}`,
  ...statements.map(indented),
  ...notes.map((note) => indented(`-- ${note}`)),
  ...(indexes.length === 0 ? [] : [indented("-- once it has caught up:"), ...indexes.map(indented)])
]

const headingOf = (
  { kind, reason, startsAtFirstBlock }: Pick<PlannedTable, "kind" | "reason" | "startsAtFirstBlock">
) => {
  const filled = startsAtFirstBlock ? "it is filled from the first block" : undefined
  switch (kind) {
    case "none":
      return filled ?? "nothing to do"
    case "create":
      return "CREATE"
    case "alter":
      return filled === undefined ? "ALTER" : `ALTER; ${filled}`
    case "reject":
      return `rejected: ${reason}`
  }
}

const indented = (statement: string): string => `  ${statement.replaceAll(/\s*\n\s*/g, " ")}`
