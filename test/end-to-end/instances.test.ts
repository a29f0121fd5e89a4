/** Several instances with tables of their own, in one database. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { beside } from "../support/instances.ts"
import { runAmpsync } from "../support/runAmpsync.ts"
import { replaceConfig, writerEpochs } from "../support/runningSync.ts"
import { holdsCanonicalChain } from "../support/snapshots.ts"
import { makeWorld, manifestOf, type World } from "../support/world.ts"

const queries = { blocks: "SELECT _block_num, hash FROM anvil.blocks" }
const otherQueries = { logs: "SELECT _block_num, block_hash, log_index FROM anvil.logs" }

const holds = (world: World, table: "blocks" | "logs", sync: AmpsyncProcess) =>
  eventually(
    () => `table ${table} holds the chain:\n${sync.output().slice(-3000)}`,
    holdsCanonicalChain(world, [table])
  )

describe("two instances in one schema", () => {
  it.live(
    "whose configs have datasets and tables of their own do not disturb each other, and a table that both name stays with the first",
    () =>
      Effect.gen(function*() {
        const first = yield* makeWorld({ dialect: "amp", blocks: 30, queries })
        const second = yield* beside(first, otherQueries, "second")
        const { database, simulator } = first
        const blocks = yield* startAmpsync(first.environment)
        const logs = yield* startAmpsync(second.environment)
        yield* holds(first, "blocks", blocks)
        yield* holds(first, "logs", logs)
        const { blocks: epoch } = yield* writerEpochs(first)
        yield* eventually(
          "each dataset has a block of its own",
          Effect.map(
            database.query<{ found: string }>(
              "SELECT string_agg(dataset || ' ' || tables::text, ' ' ORDER BY dataset) AS found FROM _ampsync_latest"
            ),
            ([row]) => row?.found === "_/example {blocks} _/second {logs}"
          )
        )

        // The second config names the table of the first one as well.
        yield* replaceConfig(second, {
          ...manifestOf("amp", { ...otherQueries, ...queries }) as object,
          name: "second",
          tables: { logs: { sql: otherQueries.logs }, blocks: { sql: queries.blocks } }
        })
        yield* logs.prints(
          /Failed to reload manifest: .*dataset _\/example fills it, not _\/second; set DATABASE_SCHEMA/
        )
        simulator.reorg(3)
        simulator.mine(4)
        yield* holds(first, "blocks", blocks)
        yield* holds(first, "logs", logs)

        // One is stopped, and its table filled again, while the other one is at work.
        yield* logs.kill("SIGTERM")
        yield* logs.exited
        const resync = yield* runAmpsync(first.environment, "resync", "--table", "logs", "--yes")
        assert.strictEqual(resync.code, 0, resync.stderr)
        simulator.mine(2)
        yield* holds(first, "blocks", blocks)
        yield* replaceConfig(second, {
          ...manifestOf("amp", otherQueries) as object,
          name: "second",
          tables: { logs: { sql: otherQueries.logs } }
        })
        const again = yield* startAmpsync(second.environment)
        yield* holds(first, "logs", again)
        assert.strictEqual((yield* writerEpochs(first))["blocks"], epoch, "the first instance was not disturbed")
        for (const table of ["blocks", "logs"] as const) {
          const columns = table === "blocks" ? ["_block_num", "hash"] : ["_block_num", "block_hash", "log_index"]
          assert.deepStrictEqual(yield* differences(first, table, { columns }), [])
        }
        yield* eventually(
          "status finds all well",
          Effect.map(runAmpsync(first.environment, "status", "--json"), ({ code, stdout }) => {
            const { tables, writers } = JSON.parse(stdout)
            const pids = writers.filter(({ alive }: { alive: boolean }) => alive).map(({ pid }: { pid: number }) => pid)
            return code === 0 && tables.length === 2 && pids.includes(blocks.pid) && pids.includes(again.pid)
          })
        )
      })
  )
})
