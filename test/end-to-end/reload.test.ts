import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { writerEpochs } from "../support/runningSync.ts"
import { holdsCanonicalChain } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

const config = (tables: string) =>
  `import { defineDataset } from "@edgeandnode/amp"
import { all } from "./queries.ts"
export default defineDataset(() => ({
  name: "example", network: "anvil", version: "0.1.0",
  dependencies: { anvil: "_/anvil@0.1.0" },
  tables: { ${tables} }
}))`

const queries = "export const all = (table: string) => ({ sql: `SELECT * FROM anvil.${table}` })"

/** Puts files beside the config of a world, each by replacing what is there. */
const put = (world: World, files: Readonly<Record<string, string>>) =>
  Effect.promise(async () => {
    for (const [name, content] of Object.entries(files)) {
      const path = join(dirname(world.manifestPath), name)
      await writeFile(`${path}~`, content)
      await rename(`${path}~`, path)
    }
  })

const holds = (world: World, ...tables: ReadonlyArray<"blocks" | "transactions" | "logs">) =>
  eventually(`${tables.join()} hold the chain`, holdsCanonicalChain(world, tables))

describe("hot reload of the program", () => {
  it.live(
    "I5 a TypeScript config with a helper: edits are activated, an endless loop is stopped and changes nothing",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 40 })
        const manifest = join(dirname(world.manifestPath), "amp.config.ts")
        yield* put(world, { "amp.config.ts": config("logs: all(\"logs\")"), "queries.ts": queries })
        const sync = yield* startAmpsync({ ...world.environment, DATASET_MANIFEST: manifest })
        yield* sync.prints(`File watcher initialized for '${manifest}'`)
        yield* holds(world, "logs")
        yield* put(world, { "amp.config.ts": config("logs: all(\"logs\"), blocks: all(\"blocks\")") })
        yield* sync.prints("Successfully loaded new manifest: example v0.1.0")
        yield* holds(world, "logs", "blocks")
        const before = yield* writerEpochs(world)

        yield* put(world, { "queries.ts": `${queries}\nfor (;;) {}` })
        world.simulator.mine(1)
        yield* holds(world, "logs", "blocks")
        yield* sync.prints("did not finish within 10 seconds")
        yield* sync.prints("Keeping previous configuration active")
        world.simulator.mine(1)
        yield* holds(world, "logs", "blocks")
        assert.deepStrictEqual(yield* writerEpochs(world), before)

        yield* put(world, { "queries.ts": queries.replace("SELECT *", "SELECT  /* as before */  *") })
        yield* sync.prints(/Tables: 2 unchanged/)
        assert.deepStrictEqual(yield* writerEpochs(world), before)
        assert.deepStrictEqual(yield* differences(world, "logs"), [])

        // A stop does not wait for a config that is being evaluated.
        yield* put(world, { "queries.ts": `${queries}\nfor (;;) {}` })
        yield* Effect.sleep(2000)
        const failures = sync.output().split("Failed to reload").length
        yield* sync.kill("SIGTERM")
        assert.strictEqual((yield* sync.exited).code, 0, sync.output())
        assert.lengthOf(sync.output().split("Failed to reload"), failures, "its evaluation came to no end")
      }),
    90_000
  )

  it.live(
    "finds a bare file name in the working directory, however many files change there, and activates its edits",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "nozzle", blocks: 30 })
        const name = `ampsync-test-${randomBytes(6).toString("hex")}.json`
        const path = join(tmpdir(), name)
        const write = (...tables: ReadonlyArray<string>) =>
          Effect.promise(() => {
            const entries = tables.map((table) => [table, { sql: `SELECT * FROM anvil.${table}` }])
            return writeFile(
              path,
              JSON.stringify({ name: "example", version: "0.1.0", tables: Object.fromEntries(entries) })
            )
          })
        yield* Effect.acquireRelease(write("logs"), () => Effect.promise(() => rm(path)))
        const sync = yield* startAmpsync({ ...world.environment, DATASET_MANIFEST: name })
        yield* holds(world, "logs")
        yield* write("logs", "blocks")
        yield* sync.prints("Successfully loaded new manifest: example v0.1.0")
        yield* holds(world, "logs", "blocks")
      }),
    60_000
  )

  it.live("follows a ConfigMap from one revision to the next", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
      const directory = dirname(world.manifestPath)
      const tables = ["logs", "blocks"].map((name) => `${name}: all("${name}")`)
      const revision = Effect.fnUntraced(function*(name: string, content: string) {
        yield* Effect.promise(async () => {
          await mkdir(join(directory, `..${name}`))
          await writeFile(join(directory, `..${name}`, "amp.config.ts"), content)
          await writeFile(join(directory, `..${name}`, "queries.ts"), queries)
          await symlink(`..${name}`, join(directory, "..next"))
          await rename(join(directory, "..next"), join(directory, "..data"))
        })
      })
      yield* revision("1", config(tables[0]!))
      for (const file of ["amp.config.ts", "queries.ts"]) {
        yield* Effect.promise(() => symlink(`..data/${file}`, join(directory, file)))
      }
      const sync = yield* startAmpsync({ ...world.environment, DATASET_MANIFEST: join(directory, "amp.config.ts") })
      yield* holds(world, "logs")
      yield* revision("2", config(tables.join()))
      yield* sync.prints("Tables: 1 unchanged, 1 started")
      yield* holds(world, "logs", "blocks")
    }), 60_000)
})
