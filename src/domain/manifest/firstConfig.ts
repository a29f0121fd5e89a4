/** The text of a first config file, for tables of one dataset of a server. */
import { formatDatasetReference, sqlIdentifier } from "./Dataset.ts"
import type { DatasetReference, Dialect } from "./Dataset.ts"

export interface FirstConfig {
  readonly dialect: Dialect
  /** With its version. */
  readonly dataset: DatasetReference & { readonly revision: string }
  readonly network: string | undefined
  /** Tables of the dataset that are filled as they are. */
  readonly tables: ReadonlyArray<string>
  /** Queries of further tables, by name. */
  readonly queries: Readonly<Record<string, string>>
}

/** The config as a value, in the words of the server's generation. */
export const firstManifest = ({ dataset, dialect, network, queries, tables }: FirstConfig) => ({
  name: `${dataset.name}_tables`,
  ...(dialect === "nozzle" ? { version: "0.1.0", ...(network === undefined ? {} : { network }) } : {}),
  dependencies: {
    [dataset.name]: dialect === "nozzle"
      ? { owner: dataset.namespace, name: dataset.name, version: dataset.revision }
      : formatDatasetReference(dataset)
  },
  tables: {
    ...Object.fromEntries(tables.map((table) => [table, { sql: selectAll(dataset, table) }])),
    ...Object.fromEntries(Object.entries(queries).map(([name, sql]) => [name, { sql }]))
  }
})

const selectAll = ({ name }: DatasetReference, table: string) =>
  `SELECT * FROM ${sqlIdentifier(name)}.${sqlIdentifier(table)}`

/** What to do with a new config file, one step each. */
export const nextSteps = (path: string): ReadonlyArray<string> => [
  "Leave out tables that nobody needs, and name the columns that you want instead of `*`.",
  "Name the database in the environment: DATABASE_URL=postgresql://user:password@host:5432/database, or DATABASE_URL_FILE.",
  `See what a start would do: DATASET_MANIFEST=${path} node dist/main.js plan`,
  `Start it: DATASET_MANIFEST=${path} node dist/main.js`
]

/** As a module with comments, or as JSON, which has none. */
export const configText = (config: FirstConfig, path: string): string => {
  const manifest = firstManifest(config)
  if (path.endsWith(".json")) return `${JSON.stringify(manifest, undefined, 2)}\n`
  const source = config.dialect === "nozzle" ? "nozzl" : "@edgeandnode/amp"
  return [
    "/**",
    ` * The tables that Ampsync fills, from dataset ${formatDatasetReference(config.dataset)}.`,
    " *",
    " * Next:",
    ...nextSteps(path).map((step, index) => ` * ${index + 1}. ${step}`),
    " *",
    " * docs/config-file.md has the settings of a table: indexes, key, types of columns, comment.",
    " */",
    `import { defineDataset } from "${source}"`,
    "",
    `export default defineDataset(${literal(manifest, "")})`,
    ""
  ].join("\n")
}

/** JSON as a TypeScript literal: keys without quotes where they need none. */
const literal = (value: unknown, indent: string): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).map(([key, member]) =>
    `${indent}  ${/^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key)}: ${literal(member, `${indent}  `)}`
  )
  return `{\n${entries.join(",\n")}\n${indent}}`
}
