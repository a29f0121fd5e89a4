/** Resolves a parsed query against datasets, tables and columns. */
import { status } from "@grpc/grpc-js"
import { Data, Result } from "effect"
import type { ArrowField } from "../domain/arrow/ArrowSchema.ts"
import { sqlIdentifier } from "../domain/manifest/Dataset.ts"
import { mayInclude, selectedRows } from "./conditions.ts"
import type { Dataset } from "./datasets.ts"
import { callColumn, computedOnce, fieldColumn } from "./evm/functions.ts"
import { blockNumOf, countOfGroups, firstOfGroups, groupsOf, type Rows } from "./grouping.ts"
import { BLOCK_NUM, type BlockCondition, COUNT, type Expression, type Query, type SelectItem } from "./query.ts"
import type { SqlProblem } from "./query.ts"
import { parseSql } from "./sql.ts"
import { type Dialect, fieldsOf, type Table, type TableColumn } from "./tables.ts"

/** The status with which a call fails, with the message of the dialect's server. */
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
  /** The fields as a server lists them: with the table or its alias in front, quoted where SQL needs it. */
  readonly qualifiedNames: ReadonlyArray<string>
  readonly count: boolean
  /** Rows of the result in one block. */
  readonly rowsOf: Table["rowsOf"]
  readonly includes: BlockCondition
  /** Rows come from the last block to the first. */
  readonly descending: boolean
  readonly limit: number | undefined
  readonly nonIncremental: string | undefined
  /** Operations that cannot be streamed are rejected only when the first range is planned. */
  readonly sortsGroups: boolean
  /** The statement itself has the setting to stream it. */
  readonly streaming: boolean
}

const invalid = (details: string) => new FlightFailure({ code: status.INVALID_ARGUMENT, details })
const internal = (details: string) => new FlightFailure({ code: status.INTERNAL, details })

/** How DoGet fails while the tables of a registered dataset have never been deployed (amp) or dumped (nozzle). */
export const notSynced = (dialect: Dialect, { dataset, table }: Plan): FlightFailure =>
  internal(
    dialect === "amp"
      ? `error creating physical catalog | Caused by: Table ${dataset.namespace}/${dataset.name}@${dataset.manifestHash}.${table.name} has not been synced`
      : `error loading physical catalog: Table '${dataset.name}.${table.name}' has not been synced`
  )

/** Names of datasets a query may use besides the registered ones: alias -> dataset name. */
export type Aliases = Readonly<Record<string, string>>

/** Parses and resolves `sql`. Fails: `FlightFailure` with the status of the real server. */
export const planQuery = (
  dialect: Dialect,
  datasets: ReadonlyArray<Dataset>,
  sql: string,
  aliases: Aliases = {}
): Result.Result<Plan, FlightFailure> => {
  if (sql.trim() === "") {
    return Result.fail(invalid(`invalid query: string cannot be empty or contain only whitespace, got: ${sql}`))
  }
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
  if (problem.kind === "statements") return invalid(`${SYNTAX[dialect]}${problem.message}`)
  const error = `SQL error: ParserError("${problem.message}")`
  return invalid(
    dialect === "amp"
      ? `${SYNTAX.amp}Invalid SQL syntax -> ${error} -> sql parser error: ${problem.message}`
      : `${SYNTAX.nozzle}${error}`
  )
}

/** What the status of a statement that cannot be parsed begins with. */
export const SYNTAX: Readonly<Record<Dialect, string>> = {
  amp: "SQL parse error | Caused by: ",
  nozzle: "SQL parse error: "
}

/** A failure of the planner. amp appends each cause to the one before it; of a table or column error they are all the same. */
const planning = (dialect: Dialect, text: string): FlightFailure =>
  internal(
    dialect === "amp"
      ? `failed to infer SQL output schema | Caused by: ${text} -> ${text}`
      : `planning error: ${text}`
  )

const planSelect = (
  dialect: Dialect,
  datasets: ReadonlyArray<Dataset>,
  query: Query,
  aliases: Aliases
): Result.Result<Plan, FlightFailure> => {
  const source = query.from.kind === "query"
    ? planSelect(dialect, datasets, query.from.query, aliases)
    : planTable(dialect, datasets, query.from.parts, aliases)
  return Result.flatMap(source, (given) => {
    const { alias } = query.from
    const inner = alias === undefined ? given : { ...given, qualifiedNames: qualified([alias], given.fields) }
    const includes: BlockCondition = (block) => inner.includes(block) && mayInclude(query.condition, block)
    const limit = inner.limit ?? query.limit
    const descending = inner.descending || query.descending
    const selected = selectedRows(query.condition, inner.rowsOf, resolver(dialect, inner, query.expressions))
    if (Result.isFailure(selected)) return Result.fail(selected.failure)
    const filtered = selected.success === undefined ? inner : onlyRows(inner, selected.success)
    const isRefused = query.sortsGroups && dialect === "nozzle"
    const nonIncremental = query.nonIncremental ?? (isRefused ? "Sort" : undefined)
    const sortsGroups = inner.sortsGroups || query.sortsGroups && !isRefused
    const plan: Plan = { ...filtered, includes, descending, limit, nonIncremental, sortsGroups }
    if (query.projection.kind === "all") return Result.succeed(plan)
    if (query.projection.kind === "count") {
      const type = { kind: "int", bits: 64, signed: true } as const
      const fields = [{ name: query.projection.name, type, nullable: false }]
      return Result.succeed({ ...plan, count: true, fields, qualifiedNames: [sqlIdentifier(query.projection.name)] })
    }
    return Result.map(
      project(dialect, plan, query.projection.items, query),
      (projected) => ({ ...plan, ...projected })
    )
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
      qualifiedNames: qualified(parts, fieldsOf(table)),
      count: false,
      rowsOf: table.rowsOf,
      includes: () => true,
      descending: false,
      limit: undefined,
      nonIncremental: undefined,
      sortsGroups: false,
      streaming: false
    })
  })
}

const unqualified = (dialect: Dialect, parts: ReadonlyArray<string>): FlightFailure => {
  const name = parts.join(".")
  if (dialect === "amp") {
    // An unqualified name is resolved in the default schema.
    if (parts.length === 1) return tableNotFound("amp", "public", name)
    return invalid(
      `Failed to resolve table references from SQL | Caused by: table reference '${name}' is not a dataset table`
    )
  }
  return internal(
    `error creating planning context: Failed to get logical catalog: Failed to extract datasets from table references: Found unqualified table '${name}', all tables must be qualified with a dataset name`
  )
}

const tableNotFound = (dialect: Dialect, schema: string, table: string): FlightFailure => {
  const catalog = dialect === "amp" ? "amp" : "datafusion"
  return planning(dialect, `Error during planning: table '${catalog}.${schema}.${table}' not found`)
}

const qualified = (parts: ReadonlyArray<string>, fields: ReadonlyArray<ArrowField>): ReadonlyArray<string> =>
  fields.map(({ name }) => [...parts, name].map(sqlIdentifier).join("."))

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

type Resolve = (name: string) => Result.Result<TableColumn, FlightFailure>

/** Finds the columns of `source`, and computes those that are expressions: each of them once, however many use it. */
const resolver = (dialect: Dialect, source: Plan, expressions: Query["expressions"]): Resolve => {
  const known = new Map<string, ReturnType<Resolve>>()
  const rejected = (text: string) => planning(dialect, `Error during planning: ${text}`)
  const computed = (name: string, expression: Expression): ReturnType<Resolve> => {
    if (expression.kind === "field") {
      return Result.flatMap(
        columnOf(expression.of),
        (of) => Result.mapError(fieldColumn(name, of, expression.field, source.rowsOf), rejected)
      )
    }
    const args = expression.args.map((arg) => arg.kind === "column" ? columnOf(arg.name) : Result.succeed(arg))
    return Result.flatMap(
      Result.all(args),
      (resolved) => Result.mapError(callColumn(expression.called, name, resolved, source.rowsOf), rejected)
    )
  }
  const find = (name: string): ReturnType<Resolve> => {
    if (name === BLOCK_NUM) return Result.succeed(blockNumOf(source))
    const expression = expressions.get(name)
    if (expression !== undefined) return computed(name, expression)
    const index = source.fields.findIndex((_) => _.name === name)
    if (index < 0) return Result.fail(columnNotFound(dialect, name, source.qualifiedNames))
    return Result.succeed({ ...source.columns[index]!, field: source.fields[index]! })
  }
  const columnOf: Resolve = (name) => {
    const column = known.get(name) ??
      Result.map(find(name), (found) => found.field.type.kind === "struct" ? computedOnce(found, source.rowsOf) : found)
    known.set(name, column)
    return column
  }
  return columnOf
}

/** `plan` with the `selected` rows of each block and no others. */
const onlyRows = (plan: Plan, selected: Rows): Plan => ({
  ...plan,
  columns: plan.columns.map((column) => firstOfGroups(selected, column)),
  rowsOf: (block) => selected(block).length
})

const project = (
  dialect: Dialect,
  source: Plan,
  items: ReadonlyArray<SelectItem>,
  { expressions, keys }: Query
): Result.Result<Pick<Plan, "columns" | "fields" | "qualifiedNames" | "rowsOf">, FlightFailure> => {
  const columns: Array<TableColumn> = []
  const fields: Array<ArrowField> = []
  const qualifiedNames: Array<string> = []
  const columnOf = resolver(dialect, source, expressions)
  const keyColumns = Result.all((keys ?? []).map(columnOf))
  if (Result.isFailure(keyColumns)) return Result.fail(keyColumns.failure)
  const groups = keys === undefined ? undefined : groupsOf(source, keyColumns.success)
  for (const { column, name } of items) {
    const resolved = column !== COUNT
      ? columnOf(column)
      : Result.succeed(groups === undefined ? notEvaluated : countOfGroups(groups))
    if (Result.isFailure(resolved)) return Result.fail(resolved.failure)
    const found = resolved.success
    if (name.startsWith("_") && name !== column) {
      const text =
        `expression contains a column alias starting with '_': '${name}'. Underscore-prefixed names are reserved. Please rename your column`
      const prefix = dialect === "amp" ? "failed to infer SQL output schema | Caused by: " : ""
      return Result.fail(invalid(`${prefix}${text}`))
    }
    const index = source.fields.findIndex((_) => _.name === column)
    qualifiedNames.push(name === column && index >= 0 ? source.qualifiedNames[index]! : sqlIdentifier(name))
    columns.push(groups === undefined || column === COUNT ? found : firstOfGroups(groups, found))
    fields.push({ ...found.field, name })
  }
  return Result.succeed({
    columns,
    fields,
    qualifiedNames,
    rowsOf: groups === undefined ? source.rowsOf : (block) => groups(block).length
  })
}

/** A count over a window: it is planned, so that a stream of it can be rejected, but not computed. */
const notEvaluated: TableColumn = {
  field: { name: COUNT, type: { kind: "int", bits: 64, signed: true }, nullable: false },
  append: () => {
    throw invalid("invalid query: this server is a simulator and does not evaluate: Window")
  }
}

const columnNotFound = (dialect: Dialect, column: string, valid: ReadonlyArray<string>): FlightFailure => {
  const text = `No field named ${sqlIdentifier(column)}. Valid fields are ${valid.join(", ")}.`
  const failure = planning(dialect, `Schema error: ${text}`)
  return dialect === "amp" ? internal(`${failure.details} -> ${text}`) : failure
}
