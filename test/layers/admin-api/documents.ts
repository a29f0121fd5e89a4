/** Responses of servers of both generations, as their documentation has them. */
import { ok, type Routes } from "./server.ts"

export const field = (name: string, type: unknown) => ({ name, type, nullable: false })
export const hash32 = { FixedSizeBinary: 32 }
export const blockFields = [
  field("_block_num", "UInt64"),
  field("block_num", "UInt64"),
  field("timestamp", { Timestamp: ["Nanosecond", "+00:00"] }),
  field("hash", hash32)
]

export const nozzleTable = (name: string, network: string, fields: ReadonlyArray<unknown> = blockFields) => ({
  name,
  network,
  schema: { arrow: { fields } }
})

export const nozzle: Routes = {
  "/datasets/example/versions?limit=1000": ok({
    versions: ["0.2.10", "0.2.1-LTcyNjgz", "0.2.1-LTEwMDAw", "0.2.0", "0.1.0"],
    next_cursor: "0.1.0"
  }),
  "/datasets/example/versions/0.2.10/schema": ok({ name: "example", version: "0.2.10", tables: [] }),
  "/datasets/example/versions/0.2.0/schema": ok({ name: "example", version: "0.2.0", tables: [] }),
  "/datasets/example/versions/0.2.1-LTcyNjgz/schema": ok({
    name: "example",
    version: "0.2.1-LTcyNjgz",
    tables: [nozzleTable("blocks", "anvil")]
  }),
  "/datasets/anvil/versions?limit=1000": ok({ versions: ["0.1.0"], next_cursor: "0.1.0" }),
  "/datasets/anvil/versions/0.1.0/schema": ok({
    name: "anvil",
    version: "0.1.0",
    tables: [nozzleTable("blocks", "anvil"), nozzleTable("logs", "anvil")]
  }),
  "/datasets/unknown/versions?limit=1000": ok({ versions: [] })
}

export const hash = "cd".repeat(32)

export const ampVersions = (name: string, versions: ReadonlyArray<string>) =>
  ok({
    namespace: "_",
    name,
    versions: versions.map((version) => ({ version, manifest_hash: hash, created_at: "x", updated_at: "x" })),
    special_tags: versions[0] === undefined ? {} : { latest: versions[0], dev: hash }
  })

export const rawManifest = ok({
  kind: "evm-rpc",
  network: "anvil",
  start_block: 0,
  finalized_blocks_only: false,
  tables: {
    blocks: { schema: { arrow: { fields: blockFields.slice(1) } }, network: "anvil" },
    logs: { schema: { arrow: { fields: [field("block_num", "UInt64")] } } }
  }
})

export const derivedManifest = (
  dependencies: Readonly<Record<string, string>>,
  fields: ReadonlyArray<unknown> = blockFields
) =>
  ok({
    kind: "manifest",
    dependencies,
    tables: { blocks: { input: { sql: "SELECT 1" }, schema: { arrow: { fields } } } },
    functions: {}
  })

export const amp: Routes = {
  "/datasets/_/example/versions": ampVersions("example", ["0.2.10", "0.2.0"]),
  "/datasets/_/example/versions/0.2.10/manifest": derivedManifest({ anvil: "_/anvil@0.0.1" }),
  "/datasets/_/example/versions/0.2.0/manifest": derivedManifest({}),
  [`/datasets/_/example/versions/${hash}/manifest`]: derivedManifest({}),
  "/datasets/_/anvil/versions": ampVersions("anvil", ["0.0.2", "0.0.1"]),
  "/datasets/_/anvil/versions/0.0.1/manifest": rawManifest,
  "/datasets/_/anvil/versions/0.0.2/manifest": rawManifest,
  "/datasets/_/unknown/versions": ampVersions("unknown", []),
  "/datasets/_/untagged/versions": ok({ namespace: "_", name: "untagged", versions: [], special_tags: { dev: hash } }),
  [`/datasets/_/untagged/versions/${hash}/manifest`]: rawManifest
}
