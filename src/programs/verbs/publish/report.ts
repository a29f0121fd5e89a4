/** What `publish` prints: for people, and as one JSON document. */
import type { SyncRecord, TableRecord } from "../../../domain/health/SyncRecord.ts"
import { counted, formatCount } from "../../../domain/numbers.ts"
import type { ViewPlan } from "../../../domain/publish/planViews.ts"
import type { ViewRequest } from "../../../domain/publish/ViewRequest.ts"
import { VERSION } from "../../../domain/version.ts"

type Schemas = Pick<ViewRequest, "as" | "from">

const outcomes = ["created", "replaced", "recreated", "dropped"] as const

const words = { created: "create", replaced: "replace", recreated: "drop and create", dropped: "drop" }

/** `create blocks, logs; drop transfers`. */
export const planText = (plan: ViewPlan): string =>
  outcomes.filter((outcome) => plan[outcome].length > 0)
    .map((outcome) => `${words[outcome]} ${plan[outcome].join(", ")}`).join("; ")

/** The schemas that readers see before, without the one that is published. */
export const otherSchemas = ({ from }: Schemas, { shown }: ViewPlan): ReadonlyArray<string> =>
  shown.filter((schema) => schema !== from)

/** The lines after a publication; `place` names the database. */
export const publishedLines = (
  { as, from }: Schemas,
  plan: ViewPlan,
  record: SyncRecord,
  place: string
): ReadonlyArray<string> => {
  const before = otherSchemas({ as, from }, plan)
  const instead = before.length === 0 ? "" : `, instead of ${before.map((schema) => `"${schema}"`).join(" and ")}`
  const changes = outcomes.filter((outcome) => plan[outcome].length > 0)
    .map((outcome) => `  ${outcome}: ${plan[outcome].join(", ")}`)
  const blocks = record.latest.map(({ block, dataset, network }) =>
    `  ${dataset} on ${network}: complete up to block ${formatCount(block)}`
  )
  return changes.length === 0
    ? [`Schema "${as}" of ${place} shows schema "${from}" already; nothing to do.`, ...blocks]
    : [`Schema "${as}" of ${place} shows schema "${from}" now${instead}.`, ...changes, ...blocks]
}

const stateOf = ({ lagBlocks, reason, state, table }: TableRecord): string =>
  `${table} is ${state}${lagBlocks === undefined ? "" : `, ${counted(lagBlocks, "block")} behind`}` +
  (reason === undefined ? "" : `: ${reason}`)

/** The tables that have not caught up, and why where that is recorded. */
export const behindText = (tables: ReadonlyArray<TableRecord>): string => tables.map(stateOf).join("; ")

export interface Ending extends Schemas {
  readonly outcome: "published" | "unchanged" | "not ready" | "rejected" | "failed"
  readonly reasons: ReadonlyArray<string>
  readonly plan?: ViewPlan
  readonly record?: SyncRecord
}

/** The document; its keys stay. */
export const publishJson = ({ as, from, outcome, plan, reasons, record }: Ending): string =>
  JSON.stringify(
    {
      version: VERSION,
      ok: outcome === "published" || outcome === "unchanged",
      outcome,
      reasons,
      from,
      as,
      before: plan === undefined ? [] : otherSchemas({ as, from }, plan),
      views: Object.fromEntries(outcomes.map((name) => [name, plan?.[name] ?? []])),
      latest: (record?.latest ?? []).map(({ block, dataset, hash, network, tables }) => ({
        dataset,
        network,
        block: Number(block),
        hash,
        tables
      }))
    },
    undefined,
    2
  )
