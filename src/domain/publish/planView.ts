/** Decides how one view of a publication comes about, or becomes what it should be. */
import { quoteIdentifier } from "../postgres/table/identifiers.ts"
import { qualifiedName } from "../postgres/table/tableDdl.ts"
import { textLiteral } from "../sql/literal.ts"
import { marker } from "./marker.ts"
import type { FoundSource, FoundTarget } from "./ViewFacts.ts"
import type { ViewRequest } from "./ViewRequest.ts"

/** How one view comes about. */
export interface ViewStep {
  readonly name: string
  readonly outcome: "created" | "replaced" | "recreated" | "dropped" | "unchanged"
  readonly statements: ReadonlyArray<string>
  /** What is lost to readers, and needs leave. */
  readonly losses: ReadonlyArray<Loss>
}

export interface Loss {
  readonly what: string
  /** The statement after which readers keep it, as NULL; undefined where there is none. */
  readonly keep?: string
}

/** Columns of a lease: without them no process can become a writer through the view. */
const LEASE_COLUMNS: ReadonlySet<string> = new Set(["commit_seq", "writer_epoch", "writer"])

/** The columns that are shown. */
const columnsByName = ({ columns, name }: FoundSource) =>
  new Map(
    columns.flatMap((column) =>
      name === "_ampsync_checkpoints" && LEASE_COLUMNS.has(column.name) ? [] : [[column.name, column]]
    )
  )

/** Options keep their values as texts, which `CREATE OR REPLACE VIEW` would reset where they are not named. */
const withOptions = (options: ReadonlyArray<string>): string => {
  const named = options.map((option) => {
    const at = option.indexOf("=")
    return `${option.slice(0, at)} = ${textLiteral(option.slice(at + 1))}`
  })
  return named.length === 0 ? "" : ` WITH (${named.join(", ")})`
}

/** What readers of the present view would lose. */
const lossesOf = (
  { as, from, tables }: ViewRequest,
  source: FoundSource,
  target: FoundTarget | undefined
): ReadonlyArray<Loss> => {
  const { name } = source
  const columns = columnsByName(source)
  return (target?.columns ?? []).flatMap((shown): ReadonlyArray<Loss> => {
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
}

/** `target` is what has the name of the view already. */
export const planView = (request: ViewRequest, source: FoundSource, target: FoundTarget | undefined): ViewStep => {
  const { as, from } = request
  const { name } = source
  const columns = columnsByName(source)
  const view = qualifiedName({ schema: as, table: name })
  const comment = `${source.comment ?? `Table ${name}`} ${marker(from)}`
  const losses = lossesOf(request, source, target)
  // A view is replaced by one with the same columns in the same order, and new ones behind them.
  const order = target === undefined || losses.length > 0
    ? [...columns.keys()]
    : [...new Set([...target.columns.map((column) => column.name), ...columns.keys()])]
  const viewComment = `COMMENT ON VIEW ${view} IS ${textLiteral(comment)}`
  const columnComments = order.flatMap((column) => {
    const wanted = columns.get(column)!.comment
    const present = losses.length > 0 ? null : target?.columns.find((shown) => shown.name === column)?.comment ?? null
    return wanted === null || wanted === present
      ? []
      : [`COMMENT ON COLUMN ${view}.${quoteIdentifier(column)} IS ${textLiteral(wanted)}`]
  })
  const comments = [...(target?.comment === comment ? [] : [viewComment]), ...columnComments]
  const isSame = target !== undefined && losses.length === 0 && target.columns.length === order.length &&
    target.reads.length === 1 && target.reads[0]?.oid === source.oid
  if (isSame && comments.length === 0) return { name, outcome: "unchanged", statements: [], losses: [] }
  const selected = order.map(quoteIdentifier).join(", ")
  const definition = `VIEW ${view}${withOptions(target?.options ?? [])} AS SELECT ${selected} FROM ${
    qualifiedName({ schema: from, table: name })
  }`
  if (target === undefined) {
    return { name, outcome: "created", statements: [`CREATE ${definition}`, ...comments], losses }
  }
  if (losses.length === 0) {
    return { name, outcome: "replaced", statements: [`CREATE OR REPLACE ${definition}`, ...comments], losses }
  }
  const keptComments = target.columns.flatMap((shown) =>
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
      viewComment,
      ...columnComments,
      ...keptComments,
      ...target.grants.filter(({ column }) => column === null || columns.has(column)).map(({ statement }) => statement),
      `ALTER VIEW ${view} OWNER TO ${quoteIdentifier(target.owner)}`
    ]
  }
}
