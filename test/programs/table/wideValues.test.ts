import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { lagBlocks } from "../../../src/domain/lag.ts"
import { indexName } from "../../../src/domain/postgres/table/tableIndexes.ts"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import { replaceConfig, type RunningSync, startSync } from "../../support/runningSync.ts"
import { makeWorld, manifestOf } from "../../support/world.ts"

/** Calldata of up to 2,000 random bytes, twice: together more than the 2,704 bytes of a row that a b-tree holds. */
const SQL = "SELECT block_num, tx_hash, input, input AS again FROM anvil.transactions"
const WIDE = ["input", "again"]
const wide = indexName("indexed", WIDE)
const narrow = indexName("indexed", ["tx_hash"])

const configured = Effect.gen(function*() {
  const world = yield* makeWorld({ dialect: "amp", blocks: 1, queries: { indexed: SQL, keyed: SQL } })
  const { tables, ...rest } = manifestOf("amp", { indexed: SQL, keyed: SQL }) as {
    tables: Record<"indexed" | "keyed", object>
  }
  yield* replaceConfig(world, {
    ...rest,
    tables: {
      indexed: { ...tables.indexed, indexes: [WIDE, ["tx_hash"]] },
      keyed: { ...tables.keyed, primaryKey: ["tx_hash", ...WIDE] }
    }
  })
  return world
})

const catchesUp = (sync: RunningSync) =>
  eventually(
    "the table has caught up",
    Effect.map(sync.status.get, (tables) => tables.get("indexed")?.phase === "caught up"),
    15_000
  )

describe("a value that is too large for an index", () => {
  it.live("I4 loses no row: its index of the config is dropped, and only a table whose primary key it is is parked", () =>
    Effect.gen(function*() {
      const world = yield* configured
      const { database, simulator } = world
      const indexes = Effect.map(
        database.query<{ name: string }>(
          `SELECT c.relname::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
           WHERE i.indrelid = 'indexed'::regclass AND NOT i.indisprimary ORDER BY 1`
        ),
        (rows) => rows.map(({ name }) => name)
      )
      const complete = (blocks: number) =>
        eventually(
          `the table is complete up to block ${blocks - 1}`,
          Effect.map(
            database.query(
              "SELECT FROM _ampsync_checkpoints WHERE table_name = 'indexed' AND max_block_num = $1 AND rows = (SELECT count(*) FROM indexed)",
              [blocks - 1]
            ),
            ({ length }) => length === 1
          ),
          30_000
        )
      const first = yield* startSync(world.environment)
      for (const name of [wide, narrow]) yield* first.logs(`Table 'indexed' has index ${name}`)
      simulator.mine(60)
      yield* complete(61)
      assert.deepStrictEqual(yield* indexes, [narrow])
      const [dropped, ...more] = first.lines.filter((line) => line.includes(wide) && line.includes("dropped"))
      assert.match(dropped!, /blocks? \d+( to \d+)?/)
      for (const part of ["(\"input\", \"again\")", "2704 bytes", "Remove it from \"indexes\""]) {
        assert.include(dropped, part)
      }
      assert.deepStrictEqual(more, [])
      yield* catchesUp(first)
      yield* first.logs("Table 'keyed' is parked")
      const parked = first.lines.find((line) => line.startsWith("Table 'keyed' is parked"))
      assert.match(parked!, /blocks? \d+( to \d+)?/)
      for (const part of ["primary key (\"tx_hash\", \"input\", \"again\")", "2704 bytes"]) assert.include(parked, part)
      yield* first.stop

      // The config is the same: the next start tries once to build it, and continues without it.
      const second = yield* startSync(world.environment)
      yield* second.logs(`index ${wide} is left out`)
      simulator.mine(10)
      yield* complete(71)
      assert.deepStrictEqual(yield* indexes, [narrow])
      assert.lengthOf(second.lines.filter((line) => line.includes(`building index ${wide}`)), 1)
      yield* catchesUp(second)
    }))

  it.live("I4 is reported while somebody reads the table, with the server process and a lag that is true, and costs nothing then", () =>
    Effect.gen(function*() {
      const world = yield* configured
      const { database, simulator } = world
      const sync = yield* startSync(world.environment, { sourceHead: { interval: "500 millis" } })
      yield* sync.logs(`Table 'indexed' has index ${wide}`)
      const reader = yield* holdLock(database, "SELECT count(*) FROM indexed")
      const pid = yield* reader.processId
      // An autovacuum may be named beside it.
      const named = new RegExp(`server process(es)? [^.]*\\b${pid}\\b`)
      const status = Effect.map(sync.status.get, (tables) => tables.get("indexed")!)
      const reports = (head: bigint) =>
        eventually(
          `the table is reported as waiting for server process ${pid}, with the head ${head}`,
          Effect.map(status, ({ phase, reason, sourceHead }) =>
            (phase === "retrying" || phase === "stalled") && named.test(reason ?? "") &&
            sourceHead?.block === head)
        )
      simulator.mine(60)
      yield* reports(60n)
      simulator.mine(5)
      yield* reports(65n)
      const { sourceHead, watermark } = yield* status
      assert.strictEqual(lagBlocks(yield* status), sourceHead!.block - watermark!)
      const failed = sync.lines.find((line) => line.includes("Failed to create stream for table 'indexed'"))
      const waits =
        `for index "${wide}", which cannot be dropped while somebody else uses the table: it waits for the transaction`
      assert.include(failed, waits)
      assert.match(failed!, named)
      yield* reader.release
      yield* sync.logs(`Table 'indexed': dropped index ${wide}`)
      yield* catchesUp(sync)
      assert.lengthOf(
        yield* database.query("SELECT FROM _ampsync_checkpoints WHERE table_name = 'indexed' AND max_block_num = 65"),
        1
      )
    }))
})
