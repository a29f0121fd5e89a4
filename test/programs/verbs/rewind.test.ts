import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Duration, Effect, Layer } from "effect"
import { layer as poolLayer } from "../../../src/layers/PgPool.ts"
import { layer as sinkLayer } from "../../../src/layers/TableSink.ts"
import { rewind } from "../../../src/programs/verbs/rewind.ts"
import { bookkeepingLayers } from "../../support/bookkeeping.ts"
import { hashOf, prepareTable } from "../../support/chunks.ts"
import { BLOCK, commitRows, field, readyBench, requestOf } from "../../support/sinkBench.ts"
import { terminal } from "../../support/terminal.ts"
import { testSettings } from "../../support/testSettings.ts"

const columns = [BLOCK, field("note")]

describe("a rewind", () => {
  it.live("asks with the block that it goes back to, which may be far below the one that was named", () =>
    Effect.gen(function*() {
      const { database, leases, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, requestOf("t", columns))
      yield* commitRows(writer, columns, [[0n, "a"], [1n, "b"], [2n, "c"]])
      yield* commitRows(writer, columns, [[3n, "d"], [9n, "e"]])
      yield* database.query(
        `INSERT INTO _ampsync_watermarks (table_name, block_num, hash) VALUES ('t', 2, '${hashOf(2n)}')`
      )
      yield* leases.release("t")
      const rows = database.query("SELECT * FROM t ORDER BY 1")
      const before = yield* rows
      let screen = ""
      yield* rewind({ table: "t", toBlock: 8n, yes: false, timeout: Duration.seconds(45) }).pipe(
        Effect.provide(sinkLayer.pipe(
          Layer.provideMerge(bookkeepingLayers),
          Layer.provideMerge(poolLayer),
          Layer.provideMerge(Layer.fresh(testSettings(database)))
        )),
        Effect.provide(terminal("n", (text) => screen += text)),
        Effect.provide(NodeServices.layer),
        Effect.provideService(Console.Console, { ...globalThis.console, log: () => {} })
      )
      assert.include(screen, "complete up to block 9) above block 2, its newest watermark at or below 8,")
      assert.deepStrictEqual(yield* rows, before)
    }))
})
