import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { writeFile } from "node:fs/promises"
import { get } from "node:http"
import { join } from "node:path"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { storedRows } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { testDatabase } from "../support/postgres.ts"
import { installed, repository } from "./installed.ts"

const manifest = {
  name: "example",
  network: "anvil",
  version: "0.1.0",
  dependencies: { anvil: "_/anvil@0.1.0" },
  tables: { blocks: { sql: "SELECT * FROM anvil.blocks" }, logs: { sql: "SELECT * FROM anvil.logs" } }
}

/** Starts the example in the folder that the package is installed in; it serves on the port that its output names. */
const startExample = (folder: string, env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      await build({
        entryPoints: [join(repository, "examples", "embed-in-effect-app", "main.ts")],
        outfile: join(folder, "main.js"),
        bundle: true,
        packages: "external",
        format: "esm",
        logLevel: "error"
      })
      await writeFile(join(folder, "ampsync.config.json"), JSON.stringify(manifest))
      const child = spawn(process.execPath, ["main.js"], {
        cwd: folder,
        env: { PATH: process.env["PATH"], PORT: "0", ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let output = ""
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          output += text
        })
      }
      const exited = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>
      return { child, output: () => output, exited }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )

/** What the app answers, as JSON with its status; undefined where it does not. */
const ask = (url: string) =>
  Effect.promise(async () => {
    const response = await fetch(url).catch(() => undefined)
    return response === undefined ? undefined : { status: response.status, body: await response.json() as any }
  })

/** Collects the data of server-sent events. */
const listenTo = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const request = get(url)
      const [response] = await once(request, "response")
      let text = ""
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece
      }).on("error", () => {})
      return {
        request,
        events: () => [...text.matchAll(/^data: (.*)\n\n/gm)].map(([, data]) => JSON.parse(data!) as any)
      }
    }),
    ({ request }) => Effect.sync(() => request.destroy())
  )

describe("the example of an Effect app", () => {
  it.live(
    "serves the tables that it syncs on its own pool, and the changes as they commit, and ends clean",
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
        const address = () => /Listening on (http:\/\/\S+)/.exec(app.output())?.[1]
        yield* eventually(
          () => `it listens:\n${app.output()}`,
          Effect.sync(() => {
            assert.isNull(app.child.exitCode, app.output())
            return address() !== undefined
          })
        )
        const url = address()!
        const completeTo = (block: string) =>
          eventually(
            () => `both tables are complete up to block ${block}:\n${app.output()}`,
            Effect.map(
              ask(`${url}/tables`),
              (answer) =>
                answer?.body.length === 2 && answer.body.every((table: any) => table.watermark?.block === block)
            )
          )
        yield* completeTo("59")
        const { events } = yield* listenTo(`${url}/events`)
        yield* eventually("events begin with the tables", Effect.sync(() => events().length === 2))
        assert.deepStrictEqual(
          events().map(({ kind, table, watermark: { block } }) => [kind, table, block]).toSorted(),
          [["baseline", "blocks", "59"], ["baseline", "logs", "59"]]
        )

        simulator.reorg(2)
        yield* completeTo("60")
        yield* eventually(
          "the reorg is an event of both tables",
          Effect.sync(() => events().filter(({ reorgs }) => reorgs.length === 1).length === 2)
        )
        const reorg = events().find(({ table, reorgs }) => table === "logs" && reorgs.length === 1)
        assert.deepStrictEqual(reorg.reorgs, [{ firstBlock: "58", depth: "2" }])

        const answer = yield* ask(`${url}/tables/logs?from=0&to=500`)
        if (answer?.status !== 200) return assert.fail(JSON.stringify(answer))
        assert.strictEqual(answer.body.watermark.block, "60")
        assert.lengthOf(answer.body.rows, simulator.chain.countRows("logs"))
        const stored = yield* storedRows(database, "logs")
        const hashes = (rows: ReadonlyArray<any>) => rows.map((row) => row["tx_hash"]).toSorted()
        assert.deepStrictEqual(hashes(answer.body.rows), hashes(stored))
        assert.strictEqual((yield* ask(`${url}/tables/pg_class?from=0&to=1`))?.status, 404)
        assert.strictEqual((yield* ask(`${url}/tables/logs?from=0&to=1000`))?.status, 400)

        // Also with a reader of events, which would wait for ever.
        const stopping = performance.now()
        app.child.kill("SIGTERM")
        const [code] = yield* Effect.promise(() => app.exited)
        assert.strictEqual(code, 0, app.output())
        assert.isBelow(performance.now() - stopping, 20_000)
        // The lease of a writer that ended in good order is free at once.
        const writers = yield* database.query("SELECT writer FROM _ampsync_checkpoints WHERE writer IS NOT NULL")
        assert.lengthOf(writers, 0)
      }),
    90_000
  )
})
