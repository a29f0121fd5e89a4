/** Distinguishes a table that a dataset does not have from a failure of the server, which reports both as an internal error. */
import { Effect, Result } from "effect"
import { didYouMean } from "../../domain/didYouMean.ts"
import { datasetId } from "../../domain/manifest/Dataset.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { AdminApi } from "../../services/AdminApi.ts"
import type { ActiveConfig } from "./ActiveConfig.ts"

/** The words of both generations. The last part is the table; the parts before it, which may contain dots, are its dataset. */
const NOT_FOUND = /\btable '[^']*\.([^'.]+)' not found/

/**
 * Returns why a query cannot be planned where that is certain: the server finds no table of a name that, by the Admin API, no
 * dataset of the query has at the version that is read. Undefined for every other failure, and where the Admin API does not
 * answer.
 */
export const missingTable = Effect.fnUntraced(function*(
  { sources }: ActiveConfig,
  { name }: TableSpec,
  detail: string
) {
  const missing = NOT_FOUND.exec(detail)?.[1]
  const read = sources?.get(name) ?? []
  if (missing === undefined || read.length === 0) return undefined
  const admin = yield* AdminApi
  const found = yield* Effect.result(
    Effect.forEach(read, (source) => admin.dataset({ ...source, revision: source.version }))
  )
  if (Result.isFailure(found)) return undefined
  const known = found.success.flatMap(({ tables }) => tables.map((table) => table.name))
  if (known.includes(missing)) return undefined
  const datasets = found.success.map((info) => `${datasetId(info)} ${info.version}`).join(" and ")
  const suggestion = didYouMean(missing, known)
  const which = suggestion === undefined ? `there are ${known.join(", ")}` : `did you mean "${suggestion}"?`
  return `${datasets} has no table "${missing}"; ${which}`
})
