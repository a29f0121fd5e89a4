import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option } from "effect"
import { layerFromPool, layerWithSettings } from "../../src/programs/ampsync.ts"
import type { Replacements } from "../../src/programs/Replacements.ts"
import { AdminApi, AdminApiError } from "../../src/services/AdminApi.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { FlightClient } from "../../src/services/FlightClient.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { SyncStatus } from "../../src/services/SyncStatus.ts"
import { TableLeases } from "../../src/services/TableLeases.ts"
import { allDifferences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { hostPool } from "../support/hostPool.ts"
import { makeWorld, type World } from "../support/world.ts"

/** The layer of a service on top of the standard one. */
const over =
  <I, S>(key: Context.Key<I, S>, change: (standard: S) => S) =>
  <E, R>(standard: Layer.Layer<I, E, R>): Layer.Layer<I, E, R> =>
    Layer.effect(key, Effect.map(key, change)).pipe(Layer.provide(standard))

/** Services that count the calls of methods which other services make, and pass them on. */
const counting = () => {
  const calls = new Map<string, number>()
  const counted = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      calls.set(name, (calls.get(name) ?? 0) + 1)
      return effect
    })
  const replace: Replacements = {
    AdminApi: over(AdminApi, (standard) => ({
      ...standard,
      blocksTable: (manifest, network) => counted("AdminApi, for SourceHead", standard.blocksTable(manifest, network))
    })),
    FlightClient: over(FlightClient, (standard) => ({
      ...standard,
      open: (request) => counted("FlightClient, for the pipeline", standard.open(request))
    })),
    Checkpoints: over(Checkpoints, (standard) => ({
      ...standard,
      record: (lease, identity) => counted("Checkpoints, for TableSink", standard.record(lease, identity))
    })),
    PgPool: over(PgPool, (standard) => ({
      ...standard,
      pipeline: counted("PgPool, for TableSink", standard.pipeline)
    })),
    TableLeases: over(TableLeases, (standard) => ({
      ...standard,
      acquire: (owner) => counted("TableLeases, for TableSink", standard.acquire(owner))
    }))
  }
  return { calls, replace }
}

/** Each of them was called by a service that was not replaced. */
const assertAllCalled = (calls: ReadonlyMap<string, number>) =>
  assert.deepStrictEqual([...calls.keys()].toSorted(), [
    "AdminApi, for SourceHead",
    "Checkpoints, for TableSink",
    "FlightClient, for the pipeline",
    "PgPool, for TableSink",
    "TableLeases, for TableSink"
  ])

const awaitComplete = (context: Context.Context<SyncStatus>, block: bigint) =>
  eventually(
    `every table is complete up to block ${block}`,
    Effect.map(
      Context.get(context, SyncStatus).get,
      (tables) =>
        tables.size === 3 &&
        [...tables.values()].every(({ sourceHead, watermark }) => watermark === block && sourceHead !== undefined)
    )
  )

const valuesOf = ({ environment: { DATABASE_URL: _, ...values } }: World) => values

describe("services of an app in the place of standard ones", () => {
  it.live("are what every other service gets, and the tables are right", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
      const { calls, replace } = counting()
      const context = yield* Layer.build(layerWithSettings(world.environment, { replace }))
      yield* awaitComplete(context, 29n)
      assertAllCalled(calls)
      assert.deepStrictEqual(yield* allDifferences(world), [])
    }))

  it.live("are so on a pool of the app too", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
      const pool = yield* hostPool({ connectionString: world.database.url })
      const { calls, replace } = counting()
      const context = yield* Layer.build(layerFromPool(pool, valuesOf(world), { replace, maxConnections: 4 }))
      yield* awaitComplete(context, 29n)
      assertAllCalled(calls)
    }))

  it.live("need nothing of the standard ones, and fail the start with an error of theirs", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 1 })
      const refusal = new AdminApiError({
        operation: "dataset",
        dataset: "_/anvil@0.1.0",
        reason: "Rejected",
        status: undefined,
        code: undefined,
        detail: "not in the catalog of the app",
        retryable: false
      })
      const refusing = Layer.succeed(AdminApi, {
        datasets: Effect.fail(refusal),
        dataset: () => Effect.fail(refusal),
        blocksTable: () => Effect.succeed(Option.none())
      })
      const { DATASET_MANIFEST: _, ...values } = world.environment
      const error = yield* Effect.flip(
        Layer.build(
          layerWithSettings({ ...values, DATASET: "_/anvil@0.1.0", TABLES: "blocks" }, {
            replace: { AdminApi: () => refusing }
          })
        )
      )
      assert.include(error.message, "not in the catalog of the app")
      assert.lengthOf(world.simulator.faults.calls, 0)
    }))
})
