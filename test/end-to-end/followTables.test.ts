import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, follow, type Position, update } from "../../examples/follow-tables/follow.ts"
import type { Dialect } from "../../src/simulator/tables.ts"
import { eventually } from "../support/eventually.ts"
import { awaitAllRows, startSync } from "../support/runningSync.ts"
import { makeWorld, type World } from "../support/world.ts"

/** Logs of each address in the canonical chain up to `block`. */
const expected = ({ simulator }: World, block: bigint): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { address } of simulator.chain.rows("logs", 0n, block)) {
    const key = `\\x${Buffer.from(address as Uint8Array).toString("hex")}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

/** One snapshot: the block up to which it is derived, and the logs of each address. */
const derivedOf = (world: World) =>
  Effect.map(
    world.database.query<{ block: string; counts: Readonly<Record<string, number>> | null }>(
      `SELECT block, (SELECT json_object_agg(address::text, logs) FROM ${world.database.schema}_derived.logs_of_address) AS counts
       FROM ${world.database.schema}_derived.position`
    ),
    ([row]) => ({ block: BigInt(row?.block ?? -1), counts: row?.counts ?? {} })
  )

const optionsOf = ({ database }: World) => ({
  url: database.url,
  schema: database.schema,
  derived: `${database.schema}_derived`
})

const withoutDerived = (world: World) =>
  Effect.addFinalizer(() => world.database.query(`DROP SCHEMA IF EXISTS ${world.database.schema}_derived CASCADE`))

/** Runs the example until the scope closes; gives what it reported so far. */
const startFollowing = Effect.fnUntraced(function*(world: World) {
  const positions: Array<Position> = []
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const stop = new AbortController()
      const ended = follow(optionsOf(world), stop.signal, (position) => {
        if (!(position instanceof Error)) positions.push(position)
      })
      return { stop, ended }
    }),
    ({ ended, stop }) => Effect.andThen(Effect.sync(() => stop.abort()), Effect.promise(() => ended))
  )
  return positions
})

const arrived = (world: World) => Effect.andThen(awaitAllRows(world, "blocks"), awaitAllRows(world, "logs"))

/** A chain of 20 blocks that is derived, and one more step of the example. */
const derived = Effect.gen(function*() {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
  yield* withoutDerived(world)
  yield* startSync(world.environment)
  yield* arrived(world)
  const client = yield* Effect.acquireRelease(
    Effect.promise(() => connect(optionsOf(world))),
    (client) => Effect.promise(() => client.end())
  )
  const updated = Effect.promise(() => update(client))
  yield* eventually("the history is derived", Effect.map(updated, ({ block }) => block === 19n))
  return { updated, world }
})

describe("the example that follows tables", () => {
  it.live.each<Dialect>(["amp", "nozzle"])(
    "derives the same as the chain through reorgs of every depth, with a %s server, also when it was away for some",
    (dialect) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 40 })
        const { chain, mine, reorg } = world.simulator
        yield* withoutDerived(world)
        yield* startSync(world.environment)
        // Tables of the first generation are complete up to the last block but one that has rows of them.
        const isDerived = Effect.gen(function*() {
          const { tip } = chain
          for (let block = 0; block < 5; block++) {
            mine(1)
            yield* arrived(world)
          }
          yield* eventually(
            "all but the newest blocks are derived",
            Effect.map(derivedOf(world), ({ block }) => block >= tip)
          )
          const { block, counts } = yield* derivedOf(world)
          assert.deepStrictEqual(counts, expected(world, block))
        })
        yield* arrived(world)
        yield* Effect.scoped(Effect.gen(function*() {
          const positions = yield* startFollowing(world)
          yield* eventually("it has begun", Effect.sync(() => positions.length > 0))
          yield* isDerived
          for (const depth of [1, 4, 2, 9]) {
            mine(1)
            reorg(depth)
            yield* isDerived
          }
        }))
        // Nobody follows meanwhile: the reorgs are read from their log.
        reorg(12)
        mine(2)
        reorg(1)
        yield* startFollowing(world)
        yield* isDerived
      })
  )

  it.live("starts again where a table is resynced, and where more reorgs came than are kept", () =>
    Effect.gen(function*() {
      const { updated, world } = yield* derived
      const spoil = world.database.query(`UPDATE ${world.database.schema}_derived.logs_of_block SET logs = 1000`)
      const right = expected(world, 19n)
      assert.deepStrictEqual((yield* derivedOf(world)).counts, right)
      const entries = (count: number, firstBlock: number, hash: string) =>
        world.database.query(
          `INSERT INTO _ampsync_reorgs (table_name, first_block, depth, new_hash)
           SELECT 'logs', ${firstBlock}, 1, ${hash} FROM generate_series(1, ${count})`
        )
      yield* spoil
      yield* entries(1, 0, "NULL")
      yield* updated
      assert.deepStrictEqual((yield* derivedOf(world)).counts, right)
      yield* spoil
      yield* entries(1_000, 19, "''")
      yield* updated
      assert.deepStrictEqual((yield* derivedOf(world)).counts, right)
    }))

  it.live("takes the entries of a table whose commit came after a newer one of another table", () =>
    Effect.gen(function*() {
      const { updated, world } = yield* derived
      const entry = (table: string, id: number) =>
        world.database.query(
          `INSERT INTO _ampsync_reorgs (id, table_name, first_block, depth, new_hash) OVERRIDING SYSTEM VALUE
           VALUES ($1, $2, 5, 1, '')`,
          [id, table]
        )
      yield* entry("blocks", 900)
      yield* updated
      yield* world.database.query(`UPDATE ${world.database.schema}_derived.logs_of_block SET logs = 1000`)
      yield* entry("logs", 899)
      yield* updated
      const stale = yield* world.database.query(
        `SELECT FROM ${world.database.schema}_derived.logs_of_block WHERE block >= 5 AND logs = 1000`
      )
      assert.lengthOf(stale, 0)
    }))
})
