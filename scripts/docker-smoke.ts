/**
 * Builds the image and runs it against an embedded PostgreSQL and a simulated server: `npm run docker:smoke -- --help`.
 *
 * Skips, with the reason, where no container engine runs. Docs: docs/docker.md.
 */
import { Effect } from "effect"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { startSimulator } from "../src/simulator/Simulator.ts"
import { startCluster } from "../test/support/cluster.ts"
import { checkMetadata, checkSync, CONTAINER } from "./docker-smoke/checks.ts"
import { type Engine, findEngine, podmanEnvironment } from "./docker-smoke/engine.ts"
import { run } from "./docker-smoke/run.ts"
import { makeStandInBase } from "./docker-smoke/standInBase.ts"

const HELP = `npm run docker:smoke -- [options]

  --image TAG      check this image instead of one that is built from the Dockerfile
  --stand-in-base  where no image registry can be reached: make the base image from Debian packages and the npm package
                   of Node (podman and buildah only, as root; needs mmdebstrap)
  --keep           leave the image that was built

Exit code 0 when everything is as it must be, or when it was skipped; 1 when a check failed.`

const { values } = parseArgs({
  options: {
    image: { type: "string" },
    "stand-in-base": { type: "boolean" },
    keep: { type: "boolean" },
    help: { type: "boolean", short: "h" }
  }
})
if (values.help === true) {
  console.log(HELP)
  process.exit(0)
}

const root = join(import.meta.dirname, "..")
const directory = mkdtempSync(join(tmpdir(), "ampsync-docker-"))
// The account of PostgreSQL and user 1001 of the container must be able to enter.
chmodSync(directory, 0o755)
const baseImage = /^ARG NODE_IMAGE=(\S+)$/m.exec(readFileSync(join(root, "Dockerfile"), "utf8"))![1]!

const build = async (engine: Engine, tag: string, revision: string): Promise<void> => {
  if (values["stand-in-base"] === true && !await engine.hasImage(baseImage)) {
    if (engine.name !== "podman") throw new Error("--stand-in-base needs podman and buildah, and no Docker daemon")
    await makeStandInBase(baseImage, directory, podmanEnvironment(directory))
    console.log(`made a stand-in for ${baseImage}`)
  }
  const began = performance.now()
  await engine.build(root, tag, { REVISION: revision, CREATED: new Date().toISOString() })
  console.log(`ok  the image is built, by ${engine.name}, in ${Math.round((performance.now() - began) / 1_000)} s`)
}

const check = (engine: Engine, image: string, revision: string | undefined) =>
  Effect.gen(function*() {
    const { database } = yield* startCluster(join(directory, "postgres"))
    const simulator = yield* startSimulator({ dialect: "amp", seed: 7, blocks: 300 })
    const folder = join(directory, "config")
    mkdirSync(folder)
    const environment = {
      DATABASE_URL: database.url,
      DATABASE_SCHEMA: database.schema,
      AMP_FLIGHT_ADDR: simulator.flightUrl,
      AMP_ADMIN_API_ADDR: simulator.adminUrl
    }
    const stage = { engine, image, folder, world: { database, simulator, manifestPath: folder, environment } }
    yield* Effect.promise(() => checkMetadata(stage, revision))
    console.log("ok  user, entry point and labels are as they must be")
    yield* Effect.addFinalizer(() => Effect.promise(() => engine.attempt("rm", "--force", CONTAINER)))
    yield* checkSync(stage)
  }).pipe(Effect.scoped)

const main = async (): Promise<number> => {
  const engine = await findEngine(directory)
  if (typeof engine === "string") {
    console.log(`skipped: ${engine}`)
    return 0
  }
  const image = values.image ?? "localhost/ampsync:smoke"
  const revision = await run(["git", "-C", root, "rev-parse", "HEAD"])
  if (values.image === undefined) await build(engine, image, revision)
  await Effect.runPromise(check(engine, image, values.image === undefined ? revision : undefined))
  if (values.image === undefined && values.keep !== true) await engine.run("rmi", image)
  console.log("passed")
  return 0
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  return 1
}).finally(() => rmSync(directory, { recursive: true, force: true }))
