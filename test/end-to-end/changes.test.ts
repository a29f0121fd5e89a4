import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import type { TableChange, TableCommit } from "../../src/domain/TableChange.ts"
import { layerWithSettings } from "../../src/programs/ampsync.ts"
import { changes, SyncStatus } from "../../src/services/SyncStatus.ts"
import { eventually } from "../support/eventually.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { allTables, makeWorld } from "../support/world.ts"

interface Row {
  readonly _block_num: string
  readonly _row_index: string
  readonly block_hash: string
}

const COLUMNS = `SELECT _block_num, _row_index, encode(block_hash, 'hex') AS block_hash FROM logs`

describe("the changes of a table", () => {
  it.live("are enough to mirror it through reorgs and a COMMIT whose reply is lost", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 60, queries: { logs: allTables["logs"]! } })
      const { database, environment, simulator } = world
      const proxy = yield* startProxy(Number(new URL(database.url).port))
      const ampsync = yield* Layer.build(
        layerWithSettings({ ...environment, DATABASE_URL: throughProxy(database.url, proxy) })
      )
      const mirror = new Map<string, Row>()
      const seen: Array<TableChange> = []
      const read = (where: string) =>
        Effect.map(database.query<Row>(`${COLUMNS} ${where}`), (rows) => {
          for (const row of rows) mirror.set(`${row._block_num} ${row._row_index}`, row)
        })
      const drop = (from: bigint) => {
        for (const [key, row] of mirror) if (BigInt(row._block_num) >= from) mirror.delete(key)
      }
      yield* changes.pipe(
        Stream.runForEach((change) =>
          Effect.gen(function*() {
            seen.push(change)
            if (change._tag === "Baseline") {
              mirror.clear()
              return yield* read("")
            }
            if (change.deletedFrom !== undefined) drop(change.deletedFrom)
            if (change.rowsAdded > 0) {
              yield* read(`WHERE _block_num BETWEEN ${change.firstBlock} AND ${change.lastBlock}`)
            }
          })
        ),
        Effect.provideContext(ampsync),
        Effect.forkScoped
      )
      const isMirrored = (block: bigint) =>
        eventually(
          `the mirror is table logs up to block ${block}`,
          Effect.gen(function*() {
            const table = (yield* Context.get(ampsync, SyncStatus).get).get("logs")
            if (table?.watermark !== block) return false
            const stored = yield* database.query<Row>(`${COLUMNS} ORDER BY _block_num, _row_index`)
            const kept = [...mirror.values()].sort((a, b) =>
              Number(a._block_num) - Number(b._block_num) || Number(a._row_index) - Number(b._row_index)
            )
            return stored.length === simulator.chain.countRows("logs") &&
              JSON.stringify(kept) === JSON.stringify(stored)
          })
        )
      const commits = () => seen.filter((change): change is TableCommit => change._tag === "Commit")

      yield* isMirrored(59n)
      assert.strictEqual(seen[0]?._tag, "Baseline")
      assert.isTrue(commits().every(({ reorgs }) => reorgs.length === 0))

      simulator.reorg(3)
      yield* isMirrored(60n)
      const [reorg] = commits().flatMap((commit) => commit.reorgs)
      assert.strictEqual(reorg?.firstBlock, 57n)
      assert.strictEqual(reorg?.depth, 3n)
      assert.match(`${reorg?.oldHash} ${reorg?.newHash}`, /^0x[0-9a-f]{64} 0x[0-9a-f]{64}$/)
      assert.notStrictEqual(reorg?.oldHash, reorg?.newHash)

      const before = seen.length
      proxy.cutOnReply("COMMIT\0")
      simulator.mine(4)
      yield* isMirrored(64n)
      assert.strictEqual(proxy.cuts(), 1)
      assert.strictEqual(seen[before]?._tag, "Baseline", "what the lost reply committed came as no commit")
    }), 60_000)
})
