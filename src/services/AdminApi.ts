/**
 * Reads from the server's Admin API which tables a dataset has.
 *
 * Owns the difference between the two generations of that API; the columns of a query come from `FlightClient`.
 */
import { Context, type Effect, type Option, Schema } from "effect"
import type { ArrowSchema } from "../domain/arrow/ArrowSchema.ts"
import { schemaNotFetched } from "../domain/logLines.ts"
import type { DatasetReference, Dialect } from "../domain/manifest/Dataset.ts"
import type { Manifest } from "../domain/manifest/Manifest.ts"

/** One table of a dataset, as the Admin API reports it. */
export interface DatasetTable {
  readonly name: string
  /** Undefined where the server does not report it, as for derived datasets of the amp generation. */
  readonly network: string | undefined
  /**
   * Undefined where the server reports none, or one with an unknown type. The schema of a raw dataset may lack
   * `_block_num`, which the served table has.
   */
  readonly schema: ArrowSchema | undefined
}

/** A dataset at one version. */
export interface DatasetInfo {
  readonly dialect: Dialect
  readonly namespace: string
  readonly name: string
  /** What the requested revision resolved to: a version, or a manifest hash. */
  readonly version: string
  readonly tables: ReadonlyArray<DatasetTable>
}

/** Why a request to the Admin API failed. */
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

/** The Admin API gave no usable response to a request. */
export class AdminApiError extends Schema.TaggedError<AdminApiError>()("AdminApiError", {
  operation: Schema.Literals(["dataset", "datasets", "blocksTable"]),
  /** The requested dataset, as `namespace/name@revision`; empty for the list of all. */
  dataset: Schema.String,
  reason: AdminApiReason,
  /** HTTP status, where a response came. */
  status: Schema.UndefinedOr(Schema.Int),
  /** The server's own code, such as `DATASET_NOT_FOUND`. */
  code: Schema.UndefinedOr(Schema.String),
  /** A sentence of bounded length. */
  detail: Schema.String,
  /** Whether the same request may succeed later. True as well of a dataset that may yet be published. */
  retryable: Schema.Boolean
}) {
  override get message() {
    const response = [this.status === undefined ? [] : `HTTP ${this.status}`, this.code ?? []].flat().join(" ")
    if (this.operation === "dataset") return schemaNotFetched(this.dataset, response, this.detail)
    const status = response === "" ? "" : ` (${response})`
    if (this.operation === "datasets") return `the datasets of the server cannot be listed: ${this.detail}${status}`
    return `cannot find the table of blocks of dataset "${this.dataset}" in the Admin API: ${this.detail}${status}`
  }
}

/** No Admin API responded, or only a gateway in front of it: whether a dataset exists is unknown. */
export const isUnreachable = (error: { readonly _tag: string }): boolean =>
  error instanceof AdminApiError &&
  (error.reason === "Unreachable" || error.reason === "Timeout" || error.reason === "Unavailable")

/** The Admin API responds, and has no such dataset or no such version of it. */
export const isUnpublished = ({ reason }: AdminApiError): boolean =>
  reason === "DatasetNotFound" || reason === "VersionNotFound"

export class AdminApi extends Context.Service<AdminApi, {
  /** All datasets, each with its newest version, where it has one. */
  readonly datasets: Effect.Effect<ReadonlyArray<DatasetReference>, AdminApiError>
  /** The tables of a dataset at the revision that the reference names, or at its newest version. */
  readonly dataset: (reference: DatasetReference) => Effect.Effect<DatasetInfo, AdminApiError>
  /**
   * The table that holds the block hashes of `network`, ready to stand behind FROM; none where nothing the manifest
   * depends on has one.
   */
  readonly blocksTable: (manifest: Manifest, network: string) => Effect.Effect<Option.Option<string>, AdminApiError>
}>()("ampsync/services/AdminApi") {}
