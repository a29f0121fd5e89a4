/** What fails while tables are synced, on either side. */
import { status } from "@grpc/grpc-js"
import { Effect } from "effect"
import { awaitWatermark } from "../../support/snapshots.ts"
import { makeWorld, type World } from "../../support/world.ts"
import type { Stage } from "./stage.ts"

/** Lets PostgreSQL refuse rows of `table` until it is released. */
const refuse = ({ database }: World, table: string, event: "INSERT" | "DELETE") =>
  Effect.gen(function*() {
    const name = `refuse_${event}`.toLowerCase()
    yield* database.query(
      `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'`
    )
    yield* database.query(
      `CREATE TRIGGER ${name} BEFORE ${event} ON ${table} FOR EACH ROW EXECUTE FUNCTION ${database.schema}.${name}()`
    )
  })

/** The database refuses rows of one table, and the deletions of another; a third one is not ours. */
export const database = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({
    dialect: "amp",
    blocks: 20,
    queries: {
      blocks: "SELECT * FROM anvil.blocks",
      hashes: "SELECT block_num, hash FROM anvil.blocks",
      foreign: "SELECT * FROM anvil.logs"
    }
  })
  yield* world.database.query("CREATE TABLE \"foreign\" (_block_num bigint)")
  yield* start(world.environment)
  yield* sees("parked")
  for (const table of ["blocks", "hashes"]) yield* awaitWatermark(world, table, 19n)
  yield* refuse(world, "blocks", "INSERT")
  yield* refuse(world, "hashes", "DELETE")
  world.simulator.mine(1)
  yield* sees("insertFailed", "batchReduced")
  yield* awaitWatermark(world, "hashes", 20n)
  world.simulator.reorg(2)
  yield* sees("reorgFailed")
})

/** The server ends a stream, then it is down. */
export const server = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: { blocks: "SELECT * FROM anvil.blocks" } })
  const { faults } = world.simulator
  yield* start(world.environment)
  yield* awaitWatermark(world, "blocks", 19n)
  faults.endStreams()
  yield* sees("streamEnded")
  faults.failNext("any", status.UNAVAILABLE, "closed for repair", 1000)
  faults.cutAll()
  yield* sees("streamFailed", "retrying", "stalled")
})

/** The stream is silent while the source's chain goes another way. */
export const silence = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: { blocks: "SELECT * FROM anvil.blocks" } })
  yield* start(world.environment)
  yield* awaitWatermark(world, "blocks", 19n)
  world.simulator.faults.hangStreams()
  world.simulator.reorg(4)
  yield* sees("diverged")
})
