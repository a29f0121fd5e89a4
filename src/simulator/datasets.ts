/** The datasets of the simulator: a raw dataset of the chain, and one derived from it with the same tables. */
import { createHash } from "node:crypto"
import { arrowSchemaJson } from "./arrowJson.ts"
import { type Dialect, fieldsOf, type Table, type TableName, TABLES } from "./tables.ts"

/** A registered dataset. */
export interface Dataset {
  readonly namespace: string
  readonly name: string
  /** Newest first; grows when a version is published. */
  readonly versions: Array<string>
  readonly kind: "evm-rpc" | "manifest"
  readonly network: string
  readonly startBlock: bigint
  readonly tables: Readonly<Record<TableName, Table>>
  readonly manifest: unknown
  /** 64 hex digits: the SHA-256 of the manifest. */
  readonly manifestHash: string
}

export interface DatasetOptions {
  readonly dialect: Dialect
  readonly network: string
  readonly startBlock: bigint
  /** Name of the raw dataset. */
  readonly rawName: string
  /** Name of the derived dataset. */
  readonly derivedName: string
  readonly version: string
  /** Appended to the version as development builds do (`0.1.0-<suffix>`), as a second version of the derived dataset. */
  readonly versionSuffix: string
}

const rawManifest = (options: DatasetOptions): unknown => ({
  kind: "evm-rpc",
  network: options.network,
  start_block: Number(options.startBlock),
  finalized_blocks_only: false,
  tables: Object.fromEntries(
    Object.values(TABLES[options.dialect]).map((table) => {
      // Manifests of raw datasets do not list `_block_num`, although the served tables have it.
      const fields = fieldsOf(table).filter((_) => _.name !== "_block_num")
      return [table.name, { schema: arrowSchemaJson(fields), network: options.network }]
    })
  )
})

const derivedManifest = (options: DatasetOptions): unknown => ({
  kind: "manifest",
  dependencies: options.dialect === "amp"
    ? { [options.rawName]: `_/${options.rawName}@${options.version}` }
    : { [options.rawName]: { owner: "_", name: options.rawName, version: options.version } },
  tables: Object.fromEntries(
    Object.values(TABLES[options.dialect]).map((table) => [table.name, {
      input: { sql: `SELECT * FROM ${options.rawName}.${table.name}` },
      schema: arrowSchemaJson(fieldsOf(table)),
      ...(options.dialect === "nozzle" ? { network: options.network } : {})
    }])
  ),
  functions: {},
  ...(options.dialect === "nozzle"
    ? { name: options.derivedName, version: options.version, network: options.network }
    : {})
})

const datasetOf = (
  options: DatasetOptions,
  kind: Dataset["kind"],
  name: string,
  versions: Array<string>,
  manifest: unknown
): Dataset => ({
  namespace: "_",
  name,
  versions,
  kind,
  network: options.network,
  startBlock: options.startBlock,
  tables: TABLES[options.dialect],
  manifest,
  manifestHash: createHash("sha256").update(JSON.stringify(manifest)).digest("hex")
})

export const datasetsOf = (options: DatasetOptions): ReadonlyArray<Dataset> => [
  datasetOf(options, "evm-rpc", options.rawName, [options.version], rawManifest(options)),
  datasetOf(
    options,
    "manifest",
    options.derivedName,
    [options.version, `${options.version}-${options.versionSuffix}`],
    derivedManifest(options)
  )
]

/** Registers `version` as the newest one of every dataset called `name`; its tables are those of the versions before. */
export const publish = (datasets: ReadonlyArray<Dataset>, name: string, version: string): void => {
  for (const dataset of datasets) {
    if (dataset.name === name && !dataset.versions.includes(version)) dataset.versions.unshift(version)
  }
}
