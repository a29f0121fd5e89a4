/** The times of a table whose database is slow, and of one whose source is. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import { awaitAllRows, startSync } from "../../support/runningSync.ts"
import { makeWorld } from "../../support/world.ts"

/** Shorter than the lock timeout: a longer wait ends the attempt. */
const WAIT_MILLIS = 600

describe("the status of a table", () => {
  it.live("has a lock in the database as time of the database, and a source without blocks as time of the source", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: { blocks: "SELECT * FROM anvil.blocks" } })
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "blocks")
      /** The times of a commit come with it. */
      const committed = (before: number) =>
        Effect.gen(function*() {
          yield* eventually(
            "the block is committed",
            Effect.map(sync.status.get, (all) => all.get("blocks")!.rowsCommitted > before)
          )
          return (yield* sync.status.get).get("blocks")!
        })
      const start = yield* committed(0)

      const lock = yield* holdLock(world.database, "LOCK TABLE blocks IN ACCESS EXCLUSIVE MODE")
      world.simulator.mine(1)
      yield* eventually(
        "the transaction waits for the lock",
        Effect.map(
          world.database.query("SELECT 1 FROM pg_locks WHERE relation = 'blocks'::regclass AND NOT granted"),
          (found) => found.length > 0
        )
      )
      yield* Effect.sleep(WAIT_MILLIS)
      yield* lock.release
      const afterLock = yield* committed(start.rowsCommitted)
      const ofDatabase = afterLock.stages.storageWaitMillis - start.stages.storageWaitMillis
      assert.isAtLeast(ofDatabase, WAIT_MILLIS * 0.9)

      yield* Effect.sleep(WAIT_MILLIS)
      world.simulator.mine(1)
      const afterSilence = yield* committed(afterLock.rowsCommitted)
      const ofSource = afterSilence.stages.sourceWaitMillis - afterLock.stages.sourceWaitMillis
      assert.isAtLeast(ofSource, WAIT_MILLIS * 0.9)
      assert.isBelow(
        afterSilence.stages.storageWaitMillis - afterLock.stages.storageWaitMillis,
        ofSource
      )
    }))
})
