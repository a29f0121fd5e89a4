/** The manifest of a dataset whose tables are synced unchanged, for settings without a config file. */
import { Result } from "effect"
import { type DatasetReference, type Dialect, sqlTableReference } from "./Dataset.ts"
import type { Manifest } from "./Manifest.ts"
import { makeTableSpec, type TableSpec } from "./TableSpec.ts"

/** Makes the manifest with `SELECT *` of each of `tables`. Fails with one sentence per table that cannot be synced. */
export const datasetManifest = (
  reference: DatasetReference,
  dialect: Dialect,
  tables: ReadonlyArray<string>
): Result.Result<Manifest, ReadonlyArray<string>> => {
  const problems: Array<string> = []
  const specs = tables.flatMap((name): ReadonlyArray<TableSpec> => {
    const made = makeTableSpec(name, `SELECT * FROM ${sqlTableReference(dialect, reference, name)}`)
    if (Result.isSuccess(made)) return [made.success]
    problems.push(`table ${JSON.stringify(name)}: ${made.failure.reason}`)
    return []
  })
  return problems.length > 0
    ? Result.fail(problems)
    : Result.succeed({ dataset: reference, network: undefined, dependencies: {}, tables: specs })
}
