/** A dataset as it is registered at a server, and the failures for one that is not. */
import { Result } from "effect"
import type { ArrowSchema } from "../../domain/arrow/ArrowSchema.ts"
import { fieldsFromAdminJson } from "../../domain/arrow/fromAdminJson.ts"
import type { DatasetReference } from "../../domain/manifest/Dataset.ts"
import type { DatasetInfo } from "../../services/AdminApi.ts"
import { type Failure, failure } from "./request.ts"

/** What the Admin API reports of a dataset. */
export interface RegisteredDataset {
  readonly info: DatasetInfo
  /** The dependencies of its registered manifest; empty where the server does not report them. */
  readonly dependencies: ReadonlyArray<DatasetReference>
}

/** Undefined where a type is unknown: the schema of the query decides, and its error names the column. */
export const schemaOf = (fields: unknown): ArrowSchema | undefined =>
  fields === undefined ? undefined : Result.getOrUndefined(fieldsFromAdminJson(fields))

export const datasetNotFound = (reference: DatasetReference): Failure =>
  failure(
    "DatasetNotFound",
    `no dataset "${reference.name}" is published at this server; publish it, or check its namespace and name`,
    { retryable: true }
  )

const MAX_LISTED_VERSIONS = 10

export const versionNotFound = (reference: DatasetReference, available: ReadonlyArray<string>): Failure => {
  const list = available.slice(0, MAX_LISTED_VERSIONS).join(", ") +
    (available.length > MAX_LISTED_VERSIONS ? ", ..." : "")
  const known = list === "" ? "it has no version" : `available: ${list}`
  return failure("VersionNotFound", `"${reference.name}" has no version "${reference.revision}"; ${known}`, {
    retryable: true
  })
}
