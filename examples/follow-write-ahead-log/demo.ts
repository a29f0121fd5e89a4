/**
 * All of it from nothing, in a checkout: a PostgreSQL from npm, a simulated server with reorgs, a sync, and the follower.
 *
 * `npx jiti examples/follow-write-ahead-log/demo.ts`; it runs until it is stopped.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Redacted, References } from "effect"
import { layerWith as embeddedPostgres } from "../../src/demo/embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "../../src/demo/EmbeddedPostgres.ts"
import { layerWithSettings } from "../../src/index.ts"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { follow } from "./follow.ts"
import { printer } from "./print.ts"

/** Every fifth block is a reorg of three. */
const BLOCK_TIME = "1 second"

const program = Effect.gen(function*() {
  const { url } = yield* EmbeddedPostgres
  const simulator = yield* startSimulator({ dialect: "amp", seed: 7, blocks: 100 })
  // Settings as in the environment; the layer is built when the tables are in the publication.
  const ampsync = layerWithSettings({
    DATASET: "_/anvil@0.1.0",
    TABLES: "blocks,logs",
    DATABASE_URL: url,
    AMP_FLIGHT_ADDR: simulator.flightUrl,
    AMP_ADMIN_API_ADDR: simulator.adminUrl,
    CDC_READY: "logical"
  })
  yield* Layer.build(ampsync)
  console.log(`following ${Redacted.value(url)}`)
  yield* Effect.forkScoped(
    Effect.tryPromise((signal) =>
      follow({ url: Redacted.value(url), publication: "ampsync", slot: "follower" }, printer(console.log), signal)
    )
  )
  for (let block = 1;; block += 1) {
    yield* Effect.sleep(BLOCK_TIME)
    if (block % 5 === 0) simulator.reorg(3)
    else simulator.mine(1)
  }
})

NodeRuntime.runMain(
  Effect.scoped(program).pipe(
    Effect.provide(embeddedPostgres(["wal_level=logical"])),
    Effect.provideService(References.MinimumLogLevel, "Warn")
  )
)
