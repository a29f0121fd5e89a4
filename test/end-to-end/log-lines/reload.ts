/** A config that changes while it is in use, and a second process with one of its own. */
import { Effect } from "effect"
import { join } from "node:path"
import { holdLock } from "../../support/holdLock.ts"
import { replaceConfig } from "../../support/runningSync.ts"
import { awaitWatermark } from "../../support/snapshots.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"
import { makeWorld, manifestOf } from "../../support/world.ts"
import type { Stage } from "./stage.ts"

const BLOCKS = "SELECT * FROM anvil.blocks"
const LOGS = "SELECT * FROM anvil.logs"

/** Edits of the file that are good, that are not, and that cannot be checked yet. */
export const reload = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: { blocks: BLOCKS, logs: LOGS } })
  const { database, simulator: { faults } } = world
  yield* start({
    ...world.environment,
    VERSION_POLL_INTERVAL_SECS: "3600",
    CDC_READY: "logical",
    CDC_PUBLICATION: "log_lines"
  })
  for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 19n)
  yield* replaceConfig(world, "{")
  yield* sees("manifestChanged", "keepingPrevious")
  yield* replaceConfig(world, {
    ...manifestOf("amp", { logs: LOGS }) as object,
    dependencies: { anvil: "_/anvil@9.9.9" }
  })
  yield* sees("unknownDependency")
  faults.failAdmin(503, 1000)
  yield* replaceConfig(world, { blocks: `${BLOCKS} WHERE block_num >= 0`, logs: LOGS, more: LOGS })
  yield* sees("keepingPreviousForNow", "reloadFailed")
  faults.clear()
  yield* sees("reloaded", "tablesAfterReload", "tableNote")
  const lock = yield* holdLock(database, "LOCK TABLE _ampsync_states")
  yield* replaceConfig(world, { blocks: `${BLOCKS} WHERE block_num >= 0` })
  yield* sees("tableRemoved", "statesNotReported")
  yield* lock.release
})

/** One process writes the tables that another one has in its config, which then names one of them no longer and takes over the other. */
export const standby = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: { blocks: BLOCKS, logs: LOGS } })
  const first = yield* start(world.environment)
  yield* awaitWatermark(world, "logs", 19n)
  const other = { ...world, manifestPath: join(yield* temporaryDirectory, "dataset.json") }
  yield* replaceConfig(other, { blocks: BLOCKS, logs: LOGS })
  yield* start({ ...world.environment, DATASET_MANIFEST: other.manifestPath })
  yield* sees("standingBy")
  yield* replaceConfig(other, { blocks: BLOCKS })
  yield* sees("notTrimmed")
  yield* first.kill("SIGTERM")
  yield* sees("tookOver")
})

/** A new version of a dataset that the config names without one. */
export const versions = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
  const { version: _, ...config } = manifestOf("amp", { blocks: BLOCKS }) as { version: string }
  yield* replaceConfig(world, { ...config, dependencies: { anvil: "_/anvil" } })
  yield* start({ ...world.environment, VERSION_POLL_INTERVAL_SECS: "1" })
  yield* awaitWatermark(world, "blocks", 19n)
  world.simulator.publish("anvil", "0.2.0")
  yield* sees("newVersion", "versionTaken", "reloaded")
})
