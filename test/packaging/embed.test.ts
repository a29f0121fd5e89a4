import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { transform } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { testDatabase } from "../support/postgres.ts"
import { installed } from "./installed.ts"

const example = join(import.meta.dirname, "..", "..", "examples", "embed-in-effect-app", "main.ts")

const manifest = {
  name: "example",
  network: "anvil",
  version: "0.1.0",
  dependencies: { anvil: "_/anvil@0.1.0" },
  tables: { blocks: { sql: "SELECT * FROM anvil.blocks" }, logs: { sql: "SELECT * FROM anvil.logs" } }
}

/** Starts the example in the folder that the package is installed in. */
const startExample = (folder: string, env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const { code } = await transform(await readFile(example, "utf8"), { loader: "ts", format: "esm" })
      await writeFile(join(folder, "main.js"), code)
      await writeFile(join(folder, "ampsync.config.json"), JSON.stringify(manifest))
      const child = spawn(process.execPath, ["main.js"], {
        cwd: folder,
        env: { PATH: process.env["PATH"], ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let output = ""
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          output += text
        })
      }
      return { child, output: () => output, exited: once(child, "close") }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )

describe("the example of an Effect app", () => {
  it.live(
    "syncs inside the app, whose own layer reports the progress, and stops with it",
    () =>
      Effect.gen(function*() {
        const { folder } = yield* installed
        const database = yield* testDatabase
        const simulator = yield* startSimulator({ dialect: "amp", blocks: 60, seed: 3 })
        const app = yield* startExample(folder, {
          DATASET_MANIFEST: "./ampsync.config.json",
          DATABASE_URL: database.url,
          DATABASE_SCHEMA: database.schema,
          AMP_FLIGHT_ADDR: simulator.flightUrl,
          AMP_ADMIN_API_ADDR: simulator.adminUrl
        })
        const last = (table: string, rows: number, block: bigint) =>
          new RegExp(`^${table}: ${rows} rows up to block ${block}, lag 0, `, "m")
        const reports = (tip: bigint) =>
          (["blocks", "logs"] as const).every((table) =>
            last(table, simulator.chain.countRows(table), tip).test(app.output())
          )
        yield* until(() => reports(59n), app.output)
        simulator.reorg(2)
        yield* until(() => reports(60n), app.output)
        const [row] = yield* database.query<{ count: string }>("SELECT count(*) FROM logs")
        assert.strictEqual(Number(row?.count), simulator.chain.countRows("logs"))
        const stopping = performance.now()
        app.child.kill("SIGTERM")
        yield* Effect.promise(() => app.exited)
        assert.isBelow(performance.now() - stopping, 20_000)
        // The lease of a writer that ended in good order is free at once.
        const writers = yield* database.query("SELECT writer FROM _ampsync_checkpoints WHERE writer IS NOT NULL")
        assert.lengthOf(writers, 0)
      }),
    60_000
  )
})

const until = (holds: () => boolean, output: () => string) =>
  Effect.suspend(() => holds() ? Effect.void : Effect.fail("not yet")).pipe(
    Effect.retry(($) => $(Schedule.spaced("100 millis"))),
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.die(new Error(`never came:\n${output()}`)) })
  )
