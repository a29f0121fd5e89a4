/**
 * The config file as a value: which dataset, and which tables to fill with which queries.
 *
 * Accepts both formats: `nozzle.config.*` (version and network inside, dependencies as objects) and `amp.config.*`
 * (dependencies as references). Other keys are ignored, because the tools of the servers have keys of their own. Only one that
 * is probably a typo of a key used here is a problem.
 */
import { Predicate, Result, Schema, SchemaIssue } from "effect"
import { didYouMean } from "../didYouMean.ts"
import {
  type DatasetReference,
  defaultNamespace,
  namePattern,
  namespacePattern,
  parseDatasetReference,
  revisionPattern
} from "./Dataset.ts"
import { settingsFields, settingsOf } from "./TableSettings.ts"
import { makeTableSpec, type TableSpec } from "./TableSpec.ts"

/** A decoded config. */
export interface Manifest {
  /** The revision is the version of the config, where it has one. */
  readonly dataset: DatasetReference
  readonly network: string | undefined
  readonly dependencies: Readonly<Record<string, DatasetReference>>
  /** In the order of the file; never empty. */
  readonly tables: ReadonlyArray<TableSpec>
}

/** All problems of a config, each as `key.path: what is expected`. They never contain values of the file. */
export interface InvalidManifest {
  readonly _tag: "InvalidManifest"
  readonly problems: ReadonlyArray<string>
}

const matching = (pattern: RegExp, expected: string) =>
  Schema.String.check(Schema.makeFilter((value: string) => pattern.test(value) || `expected ${expected}`))

const datasetName = matching(
  namePattern,
  "a dataset name in lower case letters, digits and _, not beginning with a digit"
)
const Entries = Schema.Record(Schema.String, Schema.Unknown)

const ConfigFile = Schema.Struct({
  namespace: Schema.optional(matching(namespacePattern, "a namespace in lower case letters, digits and _")),
  name: datasetName,
  version: Schema.optional(matching(revisionPattern, "a version such as 1.2.3")),
  network: Schema.optional(matching(/\S/, "the name of a network")),
  dependencies: Schema.optional(Entries),
  tables: Entries
})
const DependencyObject = Schema.Struct({ owner: Schema.String, name: datasetName, version: Schema.String })
const TableEntry = Schema.Struct({ sql: Schema.String, ...settingsFields })

/** Decodes the value of a config file, and checks its table names and queries. Fails with all problems at once. */
export const decodeManifest = (input: unknown): Result.Result<Manifest, InvalidManifest> => {
  const problems: Array<string> = []
  const file = decode(ConfigFile, input, [], problems)
  problems.push(...typos(input, ConfigFile.fields, []))
  // The parts are decoded even where the whole is invalid, so that all problems are reported at once.
  const dependencies = decodeDependencies(entriesOf(input, "dependencies"), problems)
  const tables = decodeTables(entriesOf(input, "tables"), problems)
  if (file !== undefined && Object.keys(file.tables).length === 0) problems.push("tables: expected at least one table")
  if (file === undefined || problems.length > 0) return Result.fail({ _tag: "InvalidManifest", problems })
  return Result.succeed({
    dataset: { namespace: file.namespace ?? defaultNamespace, name: file.name, revision: file.version },
    network: file.network,
    dependencies,
    tables
  })
}

const entriesOf = (input: unknown, key: string): ReadonlyArray<readonly [string, unknown]> => {
  const value = Predicate.hasProperty(input, key) ? input[key] : undefined
  return typeof value === "object" && value !== null ? Object.entries(value) : []
}

const decodeTables = (
  entries: ReadonlyArray<readonly [string, unknown]>,
  problems: Array<string>
): ReadonlyArray<TableSpec> =>
  entries.flatMap(([name, value]) => {
    const path = ["tables", name]
    const entry = decode(TableEntry, value, path, problems)
    problems.push(...typos(value, TableEntry.fields, path))
    if (entry === undefined) return []
    const table = makeTableSpec(name, entry.sql, settingsOf(entry))
    if (Result.isSuccess(table)) return [table.success]
    problems.push(`${keyPath(table.failure.part === "sql" ? [...path, "sql"] : path)}: ${table.failure.reason}`)
    return []
  })

const decodeDependencies = (
  entries: ReadonlyArray<readonly [string, unknown]>,
  problems: Array<string>
): Readonly<Record<string, DatasetReference>> => {
  const references: Array<readonly [string, DatasetReference]> = []
  for (const [alias, value] of entries) {
    const path = ["dependencies", alias]
    if (typeof value === "string") {
      const parsed = parseDatasetReference(value)
      if (Result.isSuccess(parsed)) references.push([alias, parsed.success])
      else problems.push(`${keyPath(path)}: expected ${parsed.failure.expected}`)
    } else {
      const dependency = decode(DependencyObject, value, path, problems)
      if (dependency !== undefined) references.push([alias, fromObject(dependency)])
    }
  }
  return Object.fromEntries(references)
}

/** nozzle resolves dependencies by name alone, so ranges of versions have no effect there: they become "newest". */
const fromObject = ({ owner, name, version }: typeof DependencyObject.Type): DatasetReference => {
  const revision = revisionPattern.test(version) ? version : undefined
  return namespacePattern.test(owner) && owner !== defaultNamespace
    ? { namespace: owner, name, revision, isOwned: true }
    : { namespace: defaultNamespace, name, revision }
}

/** Keys that would be ignored but are probably typos of known ones. */
const typos = (input: unknown, fields: object, path: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (!Predicate.isObject(input)) return []
  const known = Object.keys(fields)
  const owner = path.length === 0 ? "a config" : "a table"
  return Object.keys(input).flatMap((key) => {
    const meant = didYouMean(key, known)
    return meant === undefined ? [] : [`${keyPath([...path, key])}: is not a key of ${owner}, did you mean ${meant}?`]
  })
}

/** Decodes one part, or adds its problems to `problems`. */
const decode = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  input: unknown,
  path: ReadonlyArray<PropertyKey>,
  problems: Array<string>
): S["Type"] | undefined => {
  const decoded = Schema.decodeUnknownResult(schema, { errors: "all" })(input)
  if (Result.isSuccess(decoded)) return decoded.success
  for (const { message, path: steps } of formatIssue(decoded.failure.issue).issues) {
    const at = keyPath([...path, ...(steps ?? []).map((step) => typeof step === "object" ? step.key : step)])
    problems.push(`${at === "" ? "the default export" : at}: ${formatMessage(message)}`)
  }
  return undefined
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => issue._tag === "MissingKey" ? "is missing" : SchemaIssue.defaultLeafHook(issue)
})

/** The library's message without details of its types. It contains no value: the library adds those on request only. */
const formatMessage = (message: string): string => message.replace(" | undefined", "").replace(/^Expected/, "expected")

/** `tables.blocks.indexes.0`, with quotes around keys that are not plain names. */
const keyPath = (path: ReadonlyArray<PropertyKey>): string =>
  path.map((step) => {
    const name = String(step)
    return typeof step === "number" || /^[A-Za-z_][A-Za-z0-9_-]*$/.test(name) ? name : JSON.stringify(name)
  }).join(".")
