/** A table of the config by its name, for verbs that are given one. */
import { Result } from "effect"
import { didYouMean } from "../../domain/didYouMean.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import type { ActiveConfig } from "../reload/ActiveConfig.ts"

/** Fails with a sentence that names the tables there are, or the one that may be meant. */
export const tableOfConfig = (
  { manifest: { tables } }: ActiveConfig,
  name: string
): Result.Result<TableSpec, string> => {
  const table = tables.find((table) => table.name === name)
  if (table !== undefined) return Result.succeed(table)
  const near = didYouMean(name, tables.map((table) => table.name))
  const hint = near === undefined ? `it has ${tables.map((table) => table.name).join(", ")}` : `did you mean "${near}"?`
  return Result.fail(`the config has no table "${name}"; ${hint}`)
}
