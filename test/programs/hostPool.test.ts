import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import pg from "pg"
import { layerFromPool as poolLayerFrom } from "../../src/layers/PgPool.ts"
import { layerFromPool } from "../../src/programs/ampsync.ts"
import type { HostPool } from "../../src/services/HostPool.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { SyncStatus } from "../../src/services/SyncStatus.ts"
import { allDifferences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { hostPool } from "../support/hostPool.ts"
import { testDatabase } from "../support/postgres.ts"
import { makeWorld, type World } from "../support/world.ts"

/** An app with type parsers of its own for every type. */
const strangeTypes = { getTypeParser: () => () => "not what it was" } as unknown as NonNullable<pg.PoolConfig["types"]>

const valuesOf = ({ environment: { DATABASE_URL: _, ...values } }: World) => values

describe("a sync on the pg.Pool of an app", () => {
  it.live(
    "fills every table through a reorg, however the app reads values, and leaves the pool as it was",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 80 })
        const { database, simulator } = world
        const name = `app ${database.schema}`
        const pool = yield* hostPool({
          connectionString: database.url,
          application_name: name,
          max: 4,
          types: strangeTypes
        })
        const listeners = pool.listenerCount("error")
        const running = yield* Scope.make()
        const context = yield* Layer.buildWithScope(layerFromPool(pool, valuesOf(world)), running)
        const status = Context.get(context, SyncStatus)
        const completeTo = (block: bigint) =>
          eventually(
            `every table is complete up to block ${block}`,
            Effect.map(
              status.get,
              (tables) => tables.size === 3 && [...tables.values()].every(({ watermark }) => watermark === block)
            ),
            20_000
          )
        yield* completeTo(79n)
        assert.deepStrictEqual(yield* allDifferences(world), [])
        simulator.reorg(2)
        yield* completeTo(80n)
        assert.deepStrictEqual(yield* allDifferences(world), [])
        assert.isTrue(pool.totalCount <= 4)

        yield* Scope.close(running, Exit.void)
        assert.strictEqual(pool.idleCount, pool.totalCount, "every connection was given back")
        assert.strictEqual(pool.listenerCount("error"), listeners)
        yield* Effect.promise(() => pool.query("SELECT 1"))
        const others = yield* database.query(
          "SELECT FROM pg_stat_activity WHERE application_name LIKE 'ampsync %' || $1 OR application_name = $2",
          [database.schema, name]
        )
        assert.isAtMost(others.length, pool.totalCount, "nothing stays open beside the pool")
      }),
    60_000
  )

  it.live("is rejected where it could not work, with the requirements of a pool", () =>
    Effect.gen(function*() {
      const { url } = yield* testDatabase
      for (
        const [config, options, part] of [
          [{ max: 1 }, {}, "is 1; allowed: 2 or more"],
          [{}, { maxConnections: 1 }, "is 1; allowed: 2 or more"],
          [{ query_timeout: 5_000 }, {}, "query_timeout of the app's pool is 5000; allowed: none"]
        ] as const
      ) {
        const pool = yield* hostPool({ connectionString: url, ...config })
        const error = yield* Effect.flip(Layer.build(poolLayerFrom(pool, options)))
        assert.strictEqual(error._tag, "ConfigError")
        assert.include(error.message, part)
      }
    }))

  it.live("is rejected where its clients are those of an older pg", () =>
    Effect.gen(function*() {
      const pool = yield* hostPool({ connectionString: (yield* testDatabase).url })
      const { getTransactionStatus: _, ...old } = Object.getOwnPropertyDescriptors(pg.Client.prototype) as any
      const older = Object.assign(Object.create(pool), { Client: { prototype: Object.defineProperties({}, old) } })
      const error = yield* Effect.flip(Layer.build(poolLayerFrom(older)))
      assert.include(error.message, "the app's pool is one of pg before 8.21")
    }))

  it.effect("waits half a minute for a connection that the app does not release, and then reports the reason", () =>
    Effect.gen(function*() {
      const { url } = yield* testDatabase
      const pool = yield* hostPool({ connectionString: url })
      let isFree = true
      const busy: HostPool = {
        options: pool.options,
        connect: (done) => isFree && pool.connect(done),
        on: (event, listener) => pool.on(event, listener),
        off: (event, listener) => pool.off(event, listener)
      }
      const { sql } = Context.get(yield* Layer.build(poolLayerFrom(busy)), PgPool)
      assert.deepStrictEqual(yield* sql.unsafe("SELECT 1 AS one"), [{ one: 1 }])
      isFree = false
      const waiting = yield* Effect.forkScoped(Effect.flip(sql.unsafe("SELECT 1 AS one")))
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(waiting)
      assert.isTrue(error.isRetryable)
      assert.include(error.message, "no connection of the app's pool was free")
    }))
})
