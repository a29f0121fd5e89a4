/** A dataset as a server has it registered. */
import { Result } from "effect"
import type { ArrowSchema } from "../../domain/arrow/ArrowSchema.ts"
import { fieldsFromAdminJson } from "../../domain/arrow/fromAdminJson.ts"
import type { DatasetReference } from "../../domain/manifest/Dataset.ts"
import type { DatasetInfo } from "../../services/AdminApi.ts"
import { type Failure, failure } from "./request.ts"

export interface RegisteredDataset {
  readonly info: DatasetInfo
  /** What its registered manifest builds on; empty where the server does not tell. */
  readonly dependencies: ReadonlyArray<DatasetReference>
}

/** Undefined for a type we do not know: the schema of the query decides, and names the column. */
export const schemaOf = (fields: unknown): ArrowSchema | undefined =>
  fields === undefined ? undefined : Result.getOrUndefined(fieldsFromAdminJson(fields))

export const datasetNotFound = (reference: DatasetReference): Failure =>
  failure("DatasetNotFound", `no dataset "${reference.name}" is published there`, { retryable: true })

const shown = 10

export const versionNotFound = (reference: DatasetReference, available: ReadonlyArray<string>): Failure => {
  const list = available.slice(0, shown).join(", ") + (available.length > shown ? ", ..." : "")
  const known = list === "" ? "it has no version" : `available: ${list}`
  return failure("VersionNotFound", `"${reference.name}" has no version "${reference.revision}"; ${known}`, {
    retryable: true
  })
}
