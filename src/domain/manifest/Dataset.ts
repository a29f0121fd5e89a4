/**
 * Names of datasets and of their tables, as each server generation writes them.
 *
 * Source: Amp, crates/core/datasets-common (names, revisions) and crates/core/dataset-store (the earlier SQL form).
 */
import { Result } from "effect"

/** Which generation of server: the first (Nozzle) or the present one (Amp). */
export type Dialect = "nozzle" | "amp"

/** The namespace of datasets that name none. */
export const defaultNamespace = "_"

export interface DatasetReference {
  readonly namespace: string
  readonly name: string
  /** A version, a manifest hash, `latest` or `dev`; absent means the newest version. */
  readonly revision: string | undefined
  /** The namespace is an owner of a config of the first era: on an amp server it may be none. */
  readonly isOwned?: true
}

export interface InvalidDatasetReference {
  readonly _tag: "InvalidDatasetReference"
  /** What would be right; the text that was given is not repeated. */
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

/** `namespace/name`: who owns a table, whatever the revision. */
export const datasetId = (reference: Pick<DatasetReference, "namespace" | "name">): string =>
  `${reference.namespace}/${reference.name}`

/** `namespace/name[@revision]`, which `parseDatasetReference` reads back. */
export const formatDatasetReference = (reference: DatasetReference): string =>
  reference.revision === undefined ? datasetId(reference) : `${datasetId(reference)}@${reference.revision}`

/**
 * The table as it stands behind FROM.
 *
 * amp: `"namespace/name@revision".table`. nozzle: `name.table`, or `name__1_0_0.table`, whose underscores the server turns
 * back into dots; a revision that would not survive that is left out, and the newest version answers.
 */
export const sqlTableReference = (dialect: Dialect, reference: DatasetReference, table: string): string =>
  `${sqlSchema(dialect, reference)}.${sqlIdentifier(table)}`

/** The dataset as it stands in front of its tables. */
export const sqlSchema = (dialect: Dialect, reference: DatasetReference): string =>
  dialect === "amp" ? quote(formatDatasetReference(reference)) : nozzleSchema(reference)

/** Whether a server of the first generation can be asked for exactly this revision. */
export const hasNozzleForm = (revision: string): boolean => isExactRevision(revision) && !revision.includes("_")

/** Whether it means the same data for ever. */
export const isExactRevision = (revision: string | undefined): revision is string =>
  revision !== undefined && revision !== "latest" && revision !== "dev"

const nozzleSchema = ({ name, revision }: DatasetReference): string =>
  revision === undefined || !hasNozzleForm(revision)
    ? sqlIdentifier(name)
    : sqlIdentifier(`${name}__${revision.replaceAll(".", "_")}`)

/** Unquoted names fold to lower case on the server, so every other name needs its quotes. */
export const sqlIdentifier = (name: string): string => namePattern.test(name) ? name : quote(name)

const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`
