/** Decides which views show a schema in another one, and how those that are there become them. */
import { Result } from "effect"
import { quoteIdentifier } from "../postgres/table/identifiers.ts"
import { qualifiedName } from "../postgres/table/tableDdl.ts"
import { textLiteral } from "../sql/literal.ts"
import type { FoundSource, FoundTarget, ViewFacts } from "./ViewFacts.ts"

/** The schemas, by name, and the tables of the first that are to be shown. */
export interface ViewRequest {
  readonly from: string
  readonly as: string
  readonly tables: ReadonlyArray<string>
  /** Whether views and columns that `from` does not have may be dropped. */
  readonly drop: boolean
}

/** What readers need to know how far the tables are; without `_ampsync_reorgs`, whose ids begin again in each schema. */
export const SHOWN_BOOKKEEPING = [
  "_ampsync_checkpoints",
  "_ampsync_latest",
  "_ampsync_progress",
  "_ampsync_watermarks",
  "_ampsync_writers"
]

/** Columns of a lease: without them no process can become a writer through the view. */
const LEASE_COLUMNS: ReadonlySet<string> = new Set(["commit_seq", "writer_epoch", "writer"])

/** Names of views, by what is done with them, and the statements that do it. */
export interface ViewPlan {
  readonly created: ReadonlyArray<string>
  readonly replaced: ReadonlyArray<string>
  /** Dropped and created: a column is gone or has another type. */
  readonly recreated: ReadonlyArray<string>
  readonly dropped: ReadonlyArray<string>
  readonly unchanged: ReadonlyArray<string>
  /** Tables that do not exist yet: nothing is done before they do. */
  readonly missing: ReadonlyArray<string>
  /** The schemas that the views show now. */
  readonly shown: ReadonlyArray<string>
  readonly statements: ReadonlyArray<string>
}

const marker = (schema: string): string => `(published by ampsync from schema ${quoteIdentifier(schema)})`

/** Whether a view was made by a publication, which its comment records. */
export const isPublished = ({ comment, kind }: Pick<FoundTarget, "comment" | "kind">): boolean =>
  kind === "v" && /\(published by ampsync from schema ".*"\)$/s.test(comment ?? "")

const kinds: Readonly<Record<string, string>> = {
  c: "type",
  f: "foreign table",
  i: "index",
  m: "materialized view",
  p: "table",
  r: "table",
  S: "sequence"
}

/** How one view comes about. */
interface Step {
  readonly name: string
  readonly outcome: "created" | "replaced" | "recreated" | "dropped" | "unchanged"
  readonly statements: ReadonlyArray<string>
  /** What is lost to readers, and needs leave. */
  readonly losses: ReadonlyArray<Loss>
}

interface Loss {
  readonly what: string
  /** The statement after which readers keep it, as NULL; undefined where there is none. */
  readonly keep?: string
}

const shownColumns = ({ columns, name }: FoundSource) =>
  name === "_ampsync_checkpoints" ? columns.filter((column) => !LEASE_COLUMNS.has(column.name)) : columns

/** Options keep their values as texts, which `CREATE OR REPLACE VIEW` would reset where they are not named. */
const withOptions = (options: ReadonlyArray<string>): string => {
  const named = options.map((option) => {
    const at = option.indexOf("=")
    return `${option.slice(0, at)} = ${textLiteral(option.slice(at + 1))}`
  })
  return named.length === 0 ? "" : ` WITH (${named.join(", ")})`
}

const planView = ({ as, from, tables }: ViewRequest, source: FoundSource, target: FoundTarget | undefined): Step => {
  const { name } = source
  const columns = new Map(shownColumns(source).map((column) => [column.name, column]))
  const view = qualifiedName({ schema: as, table: name })
  const comment = `${source.comment ?? `Table ${name}`} ${marker(from)}`
  const losses = (target?.columns ?? []).flatMap((shown): ReadonlyArray<Loss> => {
    const column = columns.get(shown.name)
    if (column === undefined) {
      const table = qualifiedName({ schema: from, table: name })
      const keep = `ALTER TABLE ${table} ADD COLUMN ${quoteIdentifier(shown.name)} ${shown.type}`
      return [{
        what: `column "${shown.name}" of "${name}" is not in schema "${from}"`,
        ...(tables.includes(name) ? { keep } : {})
      }]
    }
    return column.type === shown.type ? [] : [{
      what: `column "${shown.name}" of "${name}" is ${column.type} in schema "${from}", and ${shown.type} in "${as}"`
    }]
  })
  // A view is replaced by one with the same columns in the same order, and new ones behind them.
  const order = target === undefined || losses.length > 0
    ? [...columns.keys()]
    : [...new Set([...target.columns.map((column) => column.name), ...columns.keys()])]
  const describe = [
    ...(target?.comment === comment ? [] : [`COMMENT ON VIEW ${view} IS ${textLiteral(comment)}`]),
    ...order.flatMap((column) => {
      const wanted = columns.get(column)!.comment
      const present = losses.length > 0 ? null : target?.columns.find((shown) => shown.name === column)?.comment ?? null
      return wanted === null || wanted === present
        ? []
        : [`COMMENT ON COLUMN ${view}.${quoteIdentifier(column)} IS ${textLiteral(wanted)}`]
    })
  ]
  const isSame = target !== undefined && losses.length === 0 && target.columns.length === order.length &&
    target.reads.length === 1 && target.reads[0]?.oid === source.oid
  if (isSame && describe.length === 0) return { name, outcome: "unchanged", statements: [], losses: [] }
  const selected = order.map(quoteIdentifier).join(", ")
  const definition = `VIEW ${view}${withOptions(target?.options ?? [])} AS SELECT ${selected} FROM ${
    qualifiedName({ schema: from, table: name })
  }`
  if (target === undefined) {
    return { name, outcome: "created", statements: [`CREATE ${definition}`, ...describe], losses }
  }
  if (losses.length === 0) {
    return { name, outcome: "replaced", statements: [`CREATE OR REPLACE ${definition}`, ...describe], losses }
  }
  const comments = target.columns.flatMap((shown) =>
    shown.comment !== null && columns.get(shown.name)?.comment === null
      ? [`COMMENT ON COLUMN ${view}.${quoteIdentifier(shown.name)} IS ${textLiteral(shown.comment)}`]
      : []
  )
  return {
    name,
    outcome: "recreated",
    losses,
    statements: [
      `DROP VIEW ${view}`,
      `CREATE ${definition}`,
      `COMMENT ON VIEW ${view} IS ${textLiteral(comment)}`,
      ...describe.filter((statement) => !statement.startsWith("COMMENT ON VIEW")),
      ...comments,
      ...target.grants.filter(({ column }) => column === null || columns.has(column)).map(({ statement }) => statement),
      `ALTER VIEW ${view} OWNER TO ${quoteIdentifier(target.owner)}`
    ]
  }
}

/** The statements after which a role may read a table. */
const grantsOf = (schema: string, table: string, role: string): string =>
  `GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO ${quoteIdentifier(role)}; ` +
  `GRANT SELECT ON ${qualifiedName({ schema, table })} TO ${quoteIdentifier(role)}`

/** What speaks against the publication whatever the columns are. */
const obstaclesOf = ({ as, from }: ViewRequest, facts: ViewFacts): ReadonlyArray<string> => {
  const role = quoteIdentifier(facts.role)
  const schema = quoteIdentifier(as)
  return [
    ...(facts.mayCreate ? [] : [
      facts.schemaExists
        ? `this role may not create views in schema "${as}"; run: GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role}`
        : `schema "${as}" does not exist, and this role may not create it; run: CREATE SCHEMA ${schema} AUTHORIZATION ${role}`
    ]),
    ...facts.sources.filter(({ isReadable }) => !isReadable).map(({ name }) => {
      const source = qualifiedName({ schema: from, table: name })
      return `this role may not read ${source}; run: ${grantsOf(from, name, facts.role)}`
    }),
    ...facts.targets.flatMap((target) => {
      const { kind, name, owner } = target
      if (!isPublished(target)) {
        return [
          kind === "v"
            ? `view "${name}" in schema "${as}" was not made by this command, or its comment was changed`
            : `${kinds[kind] ?? "object"} "${name}" in schema "${as}" was not made by this command`
        ]
      }
      if (!target.isOwned) {
        return [
          `view "${name}" in schema "${as}" belongs to role "${owner}"; run: GRANT ${quoteIdentifier(owner)} TO ${role}`
        ]
      }
      return target.unable.map((reader) =>
        `view "${name}" in schema "${as}" reads with the rights of role "${reader}", which may not read ` +
        `${qualifiedName({ schema: from, table: name })}; run: ${grantsOf(from, name, reader)}`
      )
    })
  ]
}

/** The views, or all reasons against them, each a sentence. */
export const planViews = (
  request: ViewRequest,
  facts: ViewFacts
): Result.Result<ViewPlan, ReadonlyArray<string>> => {
  const { as, drop, from } = request
  const targets = new Map(facts.targets.map((target) => [target.name, target]))
  const sources = new Map(facts.sources.map((source) => [source.name, source]))
  const obstacles = obstaclesOf(request, facts)
  if (obstacles.length > 0) return Result.fail(obstacles)
  const missing = request.tables.filter((table) => !sources.has(table))
  const gone = facts.targets.filter(({ name }) => !sources.has(name) && !missing.includes(name)).map((
    { name }
  ): Step => ({
    name,
    outcome: "dropped",
    statements: [`DROP VIEW ${qualifiedName({ schema: as, table: name })}`],
    losses: [{ what: `schema "${from}" has no table "${name}"` }]
  }))
  // All in one order, so that two readers and a publication never wait for each other in a circle longer than they must.
  const steps = [...facts.sources.map((source) => planView(request, source, targets.get(source.name))), ...gone]
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const reasons = steps.flatMap(({ losses, name }) => {
    if (losses.length === 0) return []
    if (!drop) {
      return losses.map(({ keep, what }) =>
        `${what}; --drop removes it from "${as}"${keep === undefined ? "" : `, and ${keep} keeps it there as NULL`}`
      )
    }
    const dependents = targets.get(name)!.dependents
    if (dependents.length === 0) return []
    const kept = losses.flatMap(({ keep }) => keep ?? [])
    return [
      `view "${name}" must be dropped (${losses.map(({ what }) => what).join("; ")}), and so would ${
        dependents.join(", ")
      }; drop them first${kept.length < losses.length ? "" : `, or keep the columns as NULL: ${kept.join("; ")}`}`
    ]
  })
  if (reasons.length > 0) return Result.fail(reasons)
  const named = (outcome: Step["outcome"]) => steps.filter((step) => step.outcome === outcome).map(({ name }) => name)
  return Result.succeed({
    created: named("created"),
    replaced: named("replaced"),
    recreated: named("recreated"),
    dropped: named("dropped"),
    unchanged: named("unchanged"),
    missing,
    shown: [...new Set(facts.targets.flatMap(({ reads }) => reads.map(({ schema }) => schema)))].toSorted(),
    statements: [
      ...(facts.schemaExists ? [] : [`CREATE SCHEMA ${quoteIdentifier(as)}`]),
      ...steps.flatMap(({ statements }) => statements)
    ]
  })
}
