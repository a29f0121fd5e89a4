import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import { readdirSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { ManifestSource } from "../../../src/services/ManifestSource.ts"
import { directoryOf, sourceOf } from "../../layers/manifest-source/files.ts"
import { eventually } from "../../support/eventually.ts"
import { awaitAllRows, mineAndAwait, replaceConfig, startSync, writerEpochs } from "../../support/runningSync.ts"
import { allTables, makeWorld } from "../../support/world.ts"

/** `npm run test:reloads` is the long form. */
const RELOADS = Number(process.env["RELOADS"] ?? 60)
/** The first reloads fill what is kept on purpose: pools, compiled code, the history of the simulator. */
const WARM_UP = Math.min(200, RELOADS / 2)
const MOST_BYTES_PER_RELOAD = 40_000
/** The default of MAX_DB_CONNECTIONS. */
const POOL_SIZE = 10
const SLACK_BYTES = 10 * 1024 * 1024

setFlagsFromString("--expose_gc")
const collectGarbage = runInNewContext("gc") as () => void

const count = (directory: string): number => readdirSync(directory).length

/** The resources of this process. */
const held = () => {
  collectGarbage()
  return {
    files: count("/proc/self/fd"),
    threads: count("/proc/self/task"),
    listeners: process.stderr.eventNames().reduce((sum, name) => sum + process.stderr.listenerCount(name), 0),
    resources: process.getActiveResourcesInfo().filter((name) => name !== "Timeout").length,
    heapBytes: process.memoryUsage().heapUsed
  }
}

const assertNoMore = (before: ReturnType<typeof held>, after: ReturnType<typeof held>, reloads: number) => {
  const what = `before ${JSON.stringify(before)}, after ${reloads} reloads ${JSON.stringify(after)}`
  for (const kind of ["files", "threads", "listeners", "resources"] as const) {
    assert.isAtMost(after[kind], before[kind] + 6, `${kind}: ${what}`)
  }
  assert.isAtMost(after.heapBytes, before.heapBytes + SLACK_BYTES + reloads * MOST_BYTES_PER_RELOAD, what)
  console.log(what)
}

describe.skipIf(process.platform !== "linux")("many reloads", () => {
  it.live(
    `leave nothing behind: ${RELOADS} changes of a config file, tables stopped, restarted and started by each`,
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
        // A name of its own: other tests have sessions on the same server.
        const url = new URL(world.database.url)
        url.searchParams.set("application_name", world.database.schema)
        const sync = yield* startSync({ ...world.environment, DATABASE_URL: url.href }, {
          debounce: Duration.millis(5)
        })
        const sessions = world.database.query<{ state: string; n: string }>(
          "SELECT state, count(*) AS n FROM pg_stat_activity WHERE application_name = $1 GROUP BY state",
          [world.database.schema]
        )
        yield* awaitAllRows(world, "blocks")
        const { blocks: epoch } = yield* writerEpochs(world)
        const { transactions: _, ...fewer } = allTables
        const configs = [{ ...fewer, logs: "SELECT * FROM anvil.logs WHERE block_num >= 0" }, allTables]
        const reload = Effect.fnUntraced(function*(n: number) {
          yield* replaceConfig(world, configs[n % 2]!)
          yield* eventually(
            () => `reload ${n} is applied; its log:\n${sync.lines.slice(-30).join("\n")}`,
            Effect.map(sync.status.reload, (status) => (status?.applied ?? 0) === n + 1)
          )
        })
        let before = held()
        for (let n = 0; n < RELOADS; n += 1) {
          if (n === WARM_UP) before = held()
          yield* reload(n)
          if (n % 10 === 0) world.simulator.mine(1)
        }
        yield* eventually(
          () => `the sessions of one pool are left, none of them in a transaction`,
          Effect.map(
            sessions,
            ([idle, ...others]) => idle?.state === "idle" && Number(idle.n) <= POOL_SIZE && others.length === 0
          )
        )
        console.log("sessions", yield* sessions)
        assertNoMore(before, held(), RELOADS - WARM_UP)
        assert.isAtMost(world.simulator.faults.openStreams, 3)
        yield* mineAndAwait(world, ["blocks", "logs", "transactions"].slice(0, RELOADS % 2 === 0 ? 3 : 2) as ["blocks"])
        assert.strictEqual(
          (yield* writerEpochs(world))["blocks"],
          epoch,
          "the table that never changed was never touched"
        )
      }),
    60_000 + RELOADS * 500
  )

  it.live("leave no thread and no module behind when the config is code", () =>
    Effect.gen(function*() {
      const loads = Math.max(12, RELOADS / 10)
      const root = yield* directoryOf({ "c.ts": "", "h.ts": "export const sql = \"SELECT 1\"" })
      const source = Context.get(yield* Layer.build(sourceOf(join(root, "c.ts"))), ManifestSource)
      let before = held()
      for (let n = 0; n < loads; n += 1) {
        if (n === 4) before = held()
        yield* Effect.promise(() =>
          writeFile(
            join(root, "c.ts"),
            "import { sql } from \"./h.ts\"\nimport { createServer } from \"node:net\"\n" +
              "console.log('a line')\ncreateServer().listen(0)\nsetInterval(() => {}, 100)\nconst ballast = \"x\".repeat(5_000_000)\n" +
              `export default { name: "n${n}", network: String(ballast.length), tables: { t: { sql } } }`
          )
        )
        assert.strictEqual((yield* source.load).dataset.name, `n${n}`)
      }
      assertNoMore(before, held(), loads)
    }), 60_000 + RELOADS * 200)
})
