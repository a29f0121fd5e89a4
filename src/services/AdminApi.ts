/**
 * Asks the server's Admin API which tables a dataset has.
 *
 * Owns the difference between the two generations of that API; the columns of a query are the business of `FlightClient`.
 */
import { Context, type Effect, type Option, Schema } from "effect"
import type { ArrowSchema } from "../domain/arrow/ArrowSchema.ts"
import { schemaNotFetched } from "../domain/logLines.ts"
import type { DatasetReference, Dialect } from "../domain/manifest/Dataset.ts"
import type { Manifest } from "../domain/manifest/Manifest.ts"

export interface DatasetTable {
  readonly name: string
  /** Undefined where the server does not say it, as for derived datasets of the amp generation. */
  readonly network: string | undefined
  /**
   * Undefined where the server says none, or one with a type we do not know. The schema of a raw dataset may lack
   * `_block_num`, which the served table has.
   */
  readonly schema: ArrowSchema | undefined
}

export interface DatasetInfo {
  readonly dialect: Dialect
  readonly namespace: string
  readonly name: string
  /** What the revision that was asked for resolved to: a version, or a manifest hash. */
  readonly version: string
  readonly tables: ReadonlyArray<DatasetTable>
}

/** What went wrong with a question to the Admin API. */
export const AdminApiReason = Schema.Literals([
  "Unreachable",
  "Timeout",
  "Unavailable",
  "Unauthorized",
  "DatasetNotFound",
  "VersionNotFound",
  "NoSuchRoute",
  "Rejected",
  "UnexpectedAnswer"
])

export type AdminApiReason = typeof AdminApiReason.Type

/** The Admin API gave no usable answer to a question. */
export class AdminApiError extends Schema.TaggedError<AdminApiError>()("AdminApiError", {
  operation: Schema.Literals(["dataset", "blocksTable"]),
  /** The dataset that was asked for, as `namespace/name@revision`. */
  dataset: Schema.String,
  reason: AdminApiReason,
  /** HTTP status, where an answer came. */
  status: Schema.UndefinedOr(Schema.Int),
  /** The server's own code, such as `DATASET_NOT_FOUND`. */
  code: Schema.UndefinedOr(Schema.String),
  /** A sentence of bounded length. */
  detail: Schema.String,
  /** May the same question have another answer later? True as well of a dataset that may yet be published. */
  retryable: Schema.Boolean
}) {
  override get message() {
    const answer = [this.status === undefined ? [] : `HTTP ${this.status}`, this.code ?? []].flat().join(" ")
    if (this.operation === "dataset") return schemaNotFetched(this.dataset, answer, this.detail)
    return `could not ask the Admin API for the table of blocks of dataset "${this.dataset}": ${this.detail}${
      answer === "" ? "" : ` (${answer})`
    }`
  }
}

/** No Admin API answered, or only a gateway in front of it: whether a dataset is there is not known. */
export const isUnreachable = (error: { readonly _tag: string }): boolean =>
  error instanceof AdminApiError &&
  (error.reason === "Unreachable" || error.reason === "Timeout" || error.reason === "Unavailable")

/** The Admin API answers, and has no such dataset or no such version of it. */
export const isUnpublished = ({ reason }: AdminApiError): boolean =>
  reason === "DatasetNotFound" || reason === "VersionNotFound"

export class AdminApi extends Context.Service<AdminApi, {
  /** The tables of a dataset at the revision that the reference names, or at its newest version. */
  readonly dataset: (reference: DatasetReference) => Effect.Effect<DatasetInfo, AdminApiError>
  /**
   * The table that holds the block hashes of `network`, ready to stand behind FROM; none where nothing the manifest
   * depends on has one.
   */
  readonly blocksTable: (manifest: Manifest, network: string) => Effect.Effect<Option.Option<string>, AdminApiError>
}>()("ampsync/services/AdminApi") {}
