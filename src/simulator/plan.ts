import { status } from "@grpc/grpc-js"
import { Data, Result } from "effect"
import type { ArrowField } from "../domain/arrow/ArrowSchema.ts"
import type { Dataset } from "./datasets.ts"
import type { BlockCondition, Query, SelectItem, SqlProblem } from "./query.ts"
import { parseSql } from "./sql.ts"
import { type Dialect, fieldsOf, type Table, type TableColumn } from "./tables.ts"

/** The status a call ends with, in the words of the dialect's server. */
export class FlightFailure extends Data.TaggedError("FlightFailure")<{
  readonly code: status
  readonly details: string
}> {}

/** A query whose names are all resolved. */
export interface Plan {
  readonly dataset: Dataset
  readonly table: Table
  readonly columns: ReadonlyArray<TableColumn>
  /** Schema of the result; the renamed fields of `columns`, or the one count. */
  readonly fields: ReadonlyArray<ArrowField>
  readonly count: boolean
  readonly includes: BlockCondition
  /** Rows come from the last block to the first. */
  readonly descending: boolean
  readonly limit: number | undefined
  readonly nonIncremental: string | undefined
  /** The statement itself asks to be streamed. */
  readonly streaming: boolean
}

const invalid = (details: string) => new FlightFailure({ code: status.INVALID_ARGUMENT, details })
const internal = (details: string) => new FlightFailure({ code: status.INTERNAL, details })

/** Names of datasets a query may use besides the registered ones: alias -> dataset name. */
export type Aliases = Readonly<Record<string, string>>

/** Parses and resolves `sql`. Fails: `FlightFailure` with the status of the real server. */
export const planQuery = (
  dialect: Dialect,
  datasets: ReadonlyArray<Dataset>,
  sql: string,
  aliases: Aliases = {}
): Result.Result<Plan, FlightFailure> => {
  if (sql.trim() === "") return Result.fail(invalid("invalid query: SQL query cannot be empty"))
  const parsed = Result.mapError(parseSql(sql), (problem) => statusOfProblem(dialect, problem))
  return Result.flatMap(
    parsed,
    ({ query, streaming }) =>
      Result.map(planSelect(dialect, datasets, query, aliases), (plan) => ({ ...plan, streaming }))
  )
}

const statusOfProblem = (dialect: Dialect, problem: SqlProblem): FlightFailure => {
  if (problem.kind === "unsupported") {
    return invalid(`invalid query: this server is a simulator and does not evaluate: ${problem.message}`)
  }
  return invalid(dialect === "amp" ? `SQL parse error | Caused by: ${problem.message}` : problem.message)
}

const planSelect = (
  dialect: Dialect,
  datasets: ReadonlyArray<Dataset>,
  query: Query,
  aliases: Aliases
): Result.Result<Plan, FlightFailure> => {
  const source = query.from.kind === "query"
    ? planSelect(dialect, datasets, query.from.query, aliases)
    : planTable(dialect, datasets, query.from.parts, aliases)
  return Result.flatMap(source, (inner) => {
    const includes: BlockCondition = (block) => inner.includes(block) && query.condition(block)
    const limit = inner.limit ?? query.limit
    const descending = inner.descending || query.descending
    const plan: Plan = { ...inner, includes, descending, limit, nonIncremental: query.nonIncremental }
    if (query.projection.kind === "all") return Result.succeed(plan)
    if (query.projection.kind === "count") {
      const type = { kind: "int", bits: 64, signed: true } as const
      return Result.succeed({ ...plan, count: true, fields: [{ name: query.projection.name, type, nullable: false }] })
    }
    return Result.map(project(dialect, plan, query.projection.items), (projected) => ({ ...plan, ...projected }))
  })
}

const planTable = (
  dialect: Dialect,
  datasets: ReadonlyArray<Dataset>,
  parts: ReadonlyArray<string>,
  aliases: Aliases
): Result.Result<Plan, FlightFailure> => {
  const [schema, tableName] = parts
  if (parts.length !== 2 || schema === undefined || tableName === undefined) {
    return Result.fail(unqualified(dialect, parts))
  }
  const dataset = dialect === "amp"
    ? resolveAmp(datasets, aliases[schema] ?? schema, tableName)
    : resolveNozzle(datasets, schema)
  return Result.flatMap(dataset, (found) => {
    const table = Object.values(found.tables).find((_) => _.name === tableName)
    if (table === undefined) return Result.fail(tableNotFound(dialect, schema, tableName))
    return Result.succeed({
      dataset: found,
      table,
      columns: table.columns,
      fields: fieldsOf(table),
      count: false,
      includes: () => true,
      descending: false,
      limit: undefined,
      nonIncremental: undefined,
      streaming: false
    })
  })
}

const unqualified = (dialect: Dialect, parts: ReadonlyArray<string>): FlightFailure => {
  const name = parts.join(".")
  if (dialect === "amp") {
    return invalid(
      `Failed to resolve table references from SQL | Caused by: table reference '${name}' is not a dataset table`
    )
  }
  return internal(
    `error creating planning context: Failed to get logical catalog: Found unqualified table '${name}', all tables must be qualified with a dataset name`
  )
}

const tableNotFound = (dialect: Dialect, schema: string, table: string): FlightFailure =>
  dialect === "amp"
    ? internal(
      `failed to infer SQL output schema | Caused by: Error during planning: table 'amp.${schema}.${table}' not found`
    )
    : new FlightFailure({ code: status.NOT_FOUND, details: `table '${schema}.${table}' not found` })

/** `name` is the latest version, `name__1_0_0` that one. */
const resolveNozzle = (datasets: ReadonlyArray<Dataset>, schema: string): Result.Result<Dataset, FlightFailure> => {
  const cut = schema.lastIndexOf("__")
  const name = cut > 0 ? schema.slice(0, cut) : schema
  const version = cut > 0 ? schema.slice(cut + 2).replaceAll("_", ".") : undefined
  const dataset = datasets.find((_) => _.name === name)
  if (dataset !== undefined && (version === undefined || dataset.versions.includes(version))) {
    return Result.succeed(dataset)
  }
  return Result.fail(internal(
    `error creating planning context: Failed to get logical catalog: Dataset '${name}' version '${
      version ?? "latest"
    }' not found`
  ))
}

const REFERENCE = /^(?:(?<namespace>[a-z0-9_]+)\/)?(?<name>[a-z_][a-z0-9_]*)(?:@(?<revision>[A-Za-z0-9.+-]+))?$/

/** Finds `[namespace/]name[@revision]`; the revision is a version, a manifest hash, `latest` or `dev`. */
export const findDataset = (datasets: ReadonlyArray<Dataset>, reference: string): Dataset | "malformed" | undefined => {
  const groups = REFERENCE.exec(reference)?.groups
  if (groups === undefined) return "malformed"
  const revision = groups["revision"] ?? "latest"
  return datasets.find((dataset) =>
    dataset.namespace === (groups["namespace"] ?? "_") && dataset.name === groups["name"] &&
    (["latest", "dev", dataset.manifestHash].includes(revision) || dataset.versions.includes(revision))
  )
}

const resolveAmp = (
  datasets: ReadonlyArray<Dataset>,
  reference: string,
  table: string
): Result.Result<Dataset, FlightFailure> => {
  const dataset = findDataset(datasets, reference)
  if (dataset === "malformed") {
    return Result.fail(
      invalid(`Failed to resolve table references from SQL | Caused by: invalid dataset reference '${reference}'`)
    )
  }
  return dataset === undefined ? Result.fail(tableNotFound("amp", reference, table)) : Result.succeed(dataset)
}

const project = (
  dialect: Dialect,
  source: Plan,
  items: ReadonlyArray<SelectItem>
): Result.Result<Pick<Plan, "columns" | "fields">, FlightFailure> => {
  const prefix = dialect === "amp" ? "failed to infer SQL output schema | Caused by: " : ""
  const columns: Array<TableColumn> = []
  const fields: Array<ArrowField> = []
  for (const { column, name } of items) {
    const index = source.fields.findIndex((_) => _.name === column)
    if (index < 0) {
      const valid = source.fields.map((_) => _.name).join(", ")
      return Result.fail(internal(`${prefix}Schema error: No field named ${column}. Valid fields are ${valid}.`))
    }
    if (name.startsWith("_") && name !== column) {
      const text =
        `expression contains a column alias starting with '_': '${name}'. Underscore-prefixed names are reserved. Please rename your column`
      return Result.fail(invalid(`${prefix}${text}`))
    }
    columns.push(source.columns[index]!)
    fields.push({ ...source.fields[index]!, name })
  }
  return Result.succeed({ columns, fields })
}
