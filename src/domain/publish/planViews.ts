/** Decides which views show a schema in another one, and how those that are there become them. */
import { Result } from "effect"
import { quoteIdentifier } from "../postgres/table/identifiers.ts"
import { qualifiedName } from "../postgres/table/tableDdl.ts"
import { obstaclesOf } from "./obstacles.ts"
import { planView, type ViewStep } from "./planView.ts"
import type { ViewFacts } from "./ViewFacts.ts"
import type { ViewRequest } from "./ViewRequest.ts"

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
  ): ViewStep => ({
    name,
    outcome: "dropped",
    statements: [`DROP VIEW ${qualifiedName({ schema: as, table: name })}`],
    losses: [{ what: `schema "${from}" has no table "${name}"` }]
  }))
  // Sorted by name: transactions that touch several views in this order do not deadlock.
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
  const named = (outcome: ViewStep["outcome"]) =>
    steps.filter((step) => step.outcome === outcome).map(({ name }) => name)
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
