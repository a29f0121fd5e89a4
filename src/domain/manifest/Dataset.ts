/**
 * Names of datasets and of their tables, in the syntax of nozzle and amp servers.
 *
 * Source: Amp, crates/core/datasets-common (names, revisions) and crates/core/dataset-store (the earlier SQL form).
 */
import { Result } from "effect"

/** The protocol of a server: nozzle, or amp, its successor. */
export type Dialect = "nozzle" | "amp"

/** The namespace of datasets that name none. */
export const defaultNamespace = "_"

/** A dataset as `[namespace/]name[@revision]`. */
export interface DatasetReference {
  readonly namespace: string
  readonly name: string
  /** A version, a manifest hash, `latest` or `dev`; absent means the newest version. */
  readonly revision: string | undefined
  /** The namespace is the `owner` of a nozzle config, which need not exist as a namespace on an amp server. */
  readonly isOwned?: true
}

/** A text that is no dataset reference. */
export interface InvalidDatasetReference {
  readonly _tag: "InvalidDatasetReference"
  /** What is expected; it does not contain the text that was given. */
  readonly expected: string
}

export const namePattern = /^[a-z_][a-z0-9_]*$/
export const namespacePattern = /^[a-z0-9_]+$/
/** A semantic version with pre-release and build, 64 hexadecimal digits, `latest` or `dev`. */
export const revisionPattern =
  /^(?:(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?|[0-9a-f]{64}|latest|dev)$/

/** Parses `[namespace/]name[@revision]`. */
export const parseDatasetReference = (
  text: string
): Result.Result<DatasetReference, InvalidDatasetReference> => {
  const match = /^(?:([^/@]*)\/)?([^/@]*)(?:@([^/@]*))?$/.exec(text)
  const [, namespace = defaultNamespace, name = "", revision] = match ?? []
  if (!namePattern.test(name)) {
    return invalid(
      "[namespace/]name[@revision], the name in lower case letters, digits and _, not beginning with a digit"
    )
  }
  if (!namespacePattern.test(namespace)) return invalid("a namespace in lower case letters, digits and _")
  if (revision !== undefined && !revisionPattern.test(revision)) {
    return invalid("a revision that is a version such as 1.2.3, a hash of 64 hexadecimal digits, latest or dev")
  }
  return Result.succeed({ namespace, name, revision })
}

const invalid = (expected: string): Result.Result<never, InvalidDatasetReference> =>
  Result.fail({ _tag: "InvalidDatasetReference", expected })

/** `namespace/name`: the owner of a table, whatever the revision. */
export const datasetId = (reference: Pick<DatasetReference, "namespace" | "name">): string =>
  `${reference.namespace}/${reference.name}`

/** `namespace/name[@revision]`, which `parseDatasetReference` reads back. */
export const formatDatasetReference = (reference: DatasetReference): string =>
  reference.revision === undefined ? datasetId(reference) : `${datasetId(reference)}@${reference.revision}`

/**
 * The table as it is written after FROM.
 *
 * amp: `"namespace/name@revision".table`. nozzle: `name.table`, or `name__1_0_0.table`, whose underscores the server turns
 * back into dots; a revision that would not survive that is left out, and the newest version is read.
 */
export const sqlTableReference = (dialect: Dialect, reference: DatasetReference, table: string): string =>
  `${sqlSchema(dialect, reference)}.${sqlIdentifier(table)}`

/** The dataset as it is written before the name of a table. */
export const sqlSchema = (dialect: Dialect, reference: DatasetReference): string =>
  dialect === "amp" ? quote(formatDatasetReference(reference)) : nozzleSchema(reference)

/** Whether a query to a nozzle server can name exactly this revision. */
export const hasNozzleForm = (revision: string): boolean => isExactRevision(revision) && !revision.includes("_")

/** Whether the revision always means the same data. */
export const isExactRevision = (revision: string | undefined): revision is string =>
  revision !== undefined && revision !== "latest" && revision !== "dev"

const nozzleSchema = ({ name, revision }: DatasetReference): string =>
  revision === undefined || !hasNozzleForm(revision)
    ? sqlIdentifier(name)
    : sqlIdentifier(`${name}__${revision.replaceAll(".", "_")}`)

/** Unquoted names fold to lower case on the server, so every other name needs its quotes. */
export const sqlIdentifier = (name: string): string => namePattern.test(name) ? name : quote(name)

const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`
