/** What the image is checked for: each check runs containers and throws where something is wrong. */
import { Effect } from "effect"
import assert from "node:assert/strict"
import { renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { allDifferences } from "../../test/support/compare.ts"
import { eventually } from "../../test/support/eventually.ts"
import { manifestOf, type Queries } from "../../test/support/manifestOf.ts"
import type { World } from "../../test/support/world.ts"
import type { Engine } from "./engine.ts"

export interface Stage {
  readonly engine: Engine
  readonly image: string
  readonly world: World
  /** The folder of the config file, which is mounted. */
  readonly folder: string
}

/** What a container may not do; the same for every check. */
const LOCKED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]

/** Where the folder of the config is mounted, read-only. */
const MOUNT = "/home/ampsync/config"

export const CONTAINER = `ampsync-smoke-${process.pid}`

const queries = {
  blocks: "SELECT * FROM anvil.blocks",
  logs: "SELECT * FROM anvil.logs"
} satisfies Queries

/** Replaces the config as editors and deployments do, by renaming. */
export const writeConfig = (folder: string, tables: Queries): void => {
  const path = join(folder, "amp.config.json")
  writeFileSync(`${path}.new`, JSON.stringify(manifestOf("amp", tables)))
  renameSync(`${path}.new`, path)
}

const logs = ({ engine }: Stage) =>
  Effect.promise(async () => {
    const { stderr, stdout } = await engine.attempt("logs", CONTAINER)
    return `${stdout}${stderr}`
  })

const prints = Effect.fnUntraced(function*(stage: Stage, text: string) {
  let last = ""
  yield* eventually(
    () => `the container logs "${text}"; its log:\n${last.slice(-4000)}`,
    Effect.map(logs(stage), (log) => (last = log).includes(text))
  )
})

interface Inspected {
  readonly Config: {
    readonly User: string
    readonly Entrypoint: Array<string>
    readonly Labels: Record<string, string>
    readonly Healthcheck?: { readonly Test: Array<string> }
  }
  /** Where podman has it. */
  readonly Healthcheck?: { readonly Test: Array<string> }
}

const inspect = async ({ engine, image }: Stage): Promise<Inspected> => {
  const [inspected] = JSON.parse(await engine.run("image", "inspect", image)) as Array<Inspected>
  return inspected!
}

/** The metadata that registries, schedulers and people go by; `revision` of an image that was built from here. */
export const checkMetadata = async (stage: Stage, revision: string | undefined): Promise<void> => {
  const { Entrypoint, Labels, User } = (await inspect(stage)).Config
  assert.equal(User, "1001:1001")
  assert.deepEqual(Entrypoint, ["node", "/app/main.js"])
  assert.equal(Labels["org.opencontainers.image.licenses"], "Apache-2.0")
  if (revision !== undefined) assert.equal(Labels["org.opencontainers.image.revision"], revision)
  for (const name of ["title", "description", "version", "created", "base.name"]) {
    assert.notEqual(Labels[`org.opencontainers.image.${name}`] ?? "", "", name)
  }
}

const start = async ({ engine, folder, image, world }: Stage): Promise<void> => {
  const { DATASET_MANIFEST: _, ...environment } = world.environment
  const variables = { ...environment, DATASET_MANIFEST: `${MOUNT}/amp.config.json`, HEALTH_PORT: "18080" }
  await engine.run(
    "run",
    "--detach",
    "--name",
    CONTAINER,
    "--network",
    "host",
    ...engine.runOptions,
    ...LOCKED,
    "--volume",
    `${folder}:${MOUNT}:ro`,
    ...Object.entries(variables).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    image
  )
}

type Table = "blocks" | "logs"

/** Waits until tables and their checkpoints are equal to the chain, row by row. */
const areEqual = Effect.fnUntraced(function*({ world }: Stage, tables: ReadonlyArray<Table>) {
  let last: ReadonlyArray<string> = []
  yield* eventually(
    () => `${tables.join(" and ")} are equal to the chain; they differ by:\n${last.join("\n")}`,
    Effect.map(
      Effect.catchDefect(allDifferences(world, tables), (defect) => Effect.succeed([String(defect)])),
      (found) => (last = found).length === 0
    )
  )
})

/** The transaction that wrote the first row. */
const firstWriter = ({ world }: Stage) =>
  world.database.query("SELECT xmin::text FROM logs ORDER BY _block_num, _row_index LIMIT 1")

/** Runs in the container what the image has as its health check, and the same for readiness. */
const isHealthy = async (stage: Stage): Promise<void> => {
  const { Config, Healthcheck } = await inspect(stage)
  const [form, ...command] = (Config.Healthcheck ?? Healthcheck)!.Test
  assert.equal(form, "CMD", "the health check needs no shell")
  await stage.engine.run("exec", CONTAINER, ...command)
  await stage.engine.run("exec", CONTAINER, "ampsync", "health", "--ready")
}

/** What process 1 is and may do: user, capabilities, and a root filesystem that cannot be written. */
const isLocked = async ({ engine }: Stage): Promise<void> => {
  const code = `
    const { readFileSync, writeFileSync } = require("node:fs")
    const status = readFileSync("/proc/1/status", "utf8")
    const written = ["/app/x", "/home/ampsync/x", "/tmp/x"].map((path) => {
      try { writeFileSync(path, ""); return "written" } catch (error) { return error.code }
    })
    console.log(JSON.stringify({ uid: process.getuid(), capabilities: /CapEff:\\s*(\\w+)/.exec(status)[1],
      command: readFileSync("/proc/1/cmdline", "utf8").split("\\0").slice(0, 2), written }))`
  const found = JSON.parse(await engine.run("exec", CONTAINER, "node", "-e", code))
  assert.deepEqual(found, {
    uid: 1001,
    capabilities: "0000000000000000",
    command: ["node", "/app/main.js"],
    written: ["EROFS", "EROFS", "EROFS"]
  })
}

/** Sends SIGTERM to process 1 and returns how long it took to exit with 0. */
const stop = async ({ engine }: Stage): Promise<number> => {
  const began = performance.now()
  await engine.run("stop", "--time", "20", CONTAINER)
  const afterMillis = performance.now() - began
  assert.equal(await engine.run("inspect", "--format", "{{.State.ExitCode}}", CONTAINER), "0")
  return afterMillis
}

/** A sync in a locked container: filled, reloaded, stopped, continued. Prints a line per step. */
export const checkSync = Effect.fnUntraced(function*(stage: Stage) {
  const { engine, folder, world } = stage
  const step = (line: string) => Effect.sync(() => console.log(`ok  ${line}`))
  writeConfig(folder, { blocks: queries.blocks })
  yield* Effect.promise(() => start(stage))
  yield* areEqual(stage, ["blocks"])
  yield* step("a sync as 1001 with --read-only and --cap-drop ALL fills a table that is equal to the chain")
  yield* Effect.promise(() => isLocked(stage))
  yield* step("process 1 is the program, has no capability, and cannot write to its root filesystem")
  yield* eventually("the process is ready", Effect.promise(() => isHealthy(stage).then(() => true, () => false)))
  yield* step("the health check of the image succeeds, and so does `ampsync health --ready`")
  writeConfig(folder, queries)
  yield* areEqual(stage, ["blocks", "logs"])
  yield* step("a config file that is replaced in the mounted folder is taken while it runs")
  for (const _ of [1, 2]) {
    world.simulator.mine(5)
    yield* areEqual(stage, ["blocks", "logs"])
  }
  const before = yield* firstWriter(stage)
  const afterMillis = yield* Effect.promise(() => stop(stage))
  yield* prints(stage, "Shutdown complete")
  yield* step(`SIGTERM ends it with exit code 0 in ${Math.round(afterMillis)} ms`)
  world.simulator.reorg(3, 4)
  world.simulator.mine(20)
  yield* Effect.promise(() => engine.run("start", CONTAINER))
  yield* areEqual(stage, ["blocks", "logs"])
  assert.deepEqual(yield* firstWriter(stage), before)
  yield* step("a second start continues behind the last commit, through a reorg that it missed")
  yield* Effect.promise(() => stop(stage))
})
