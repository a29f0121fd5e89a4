/** Every log line, provoked in the real program and found word for word in its output. */
import { afterAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as failures from "./log-lines/failures.ts"
import { life } from "./log-lines/life.ts"
import { type Expected, isExpected, type LineName, type LoggedLine, makeStage, words } from "./log-lines/stage.ts"

const scenes = {
  life,
  database: failures.database,
  server: failures.server,
  silence: failures.silence
}

type Scene = keyof typeof scenes

const at = (scene: Scene, level: string, line: string | RegExp): Expected<Scene> => ({ scene, level, line })

const N = /\d+/
/** What a trigger raised, up to its name. */
const RAISED =
  /blocks \d+ to \d+: PostgreSQL: a function of the database raised an exception \(SQLSTATE P0001; by function test_[0-9a-f]+/

const lines: Readonly<Partial<Record<LineName, ReadonlyArray<Expected<Scene>>>>> = {
  starting: [at("life", "INFO", "Starting ampsync with hot-reload support...")],
  loadedManifest: [at("life", "INFO", "Loaded manifest: example v0.1.0")],
  connected: [at("life", "INFO", words`Connected to Nozzle server at http://127.0.0.1:${N}`)],
  checkpointsReady: [at("life", "INFO", "Checkpoint tracking initialized")],
  preparing: [at("life", "INFO", "Preparing to sync dataset: _/example@0.1.0")],
  watching: [at("life", "INFO", words`File watcher initialized for '${/\S+/}/dataset.json'`)],
  unlisted: [
    at("life", "INFO", "Table 'hashes' is not a table of dataset _/example 0.1.0; its columns come from the query")
  ],
  notInConfig: [
    at(
      "life",
      "WARN",
      "Schema mismatch: table 'transactions' exists in admin-api schema but not in local config; it is not synced"
    )
  ],
  selectsAll: [
    at("life", "INFO", "Table 'blocks' uses SELECT * - creating table with all 24 columns from manifest")
  ],
  selectsColumns: [at("life", "INFO", "Table 'hashes' selects 2 specific columns: block_num, hash")],
  fromTheBeginning: [at("life", "INFO", "No checkpoint found for table 'blocks', starting from beginning")],
  streamStarted: [at("life", "INFO", "Started reorg stream for table: blocks")],
  received: [
    at("life", "DEBUG", words`Received data batch for table 'blocks': ${N} rows, block ranges: ${N}-${N}`)
  ],
  inserted: [
    at("life", "DEBUG", words`Successfully bulk inserted ${N} rows into table 'blocks'`),
    at("life", "INFO", words`Successfully bulk inserted ${N} rows into table 'logs'`)
  ],
  checkpointUpdated: [at("life", "DEBUG", "Updated checkpoint for table 'blocks' to block 199")],
  batchPerformance: [
    at("life", "DEBUG", words`Batch performance: ${N}ms for ${N} rows, new batch size: ${N}`)
  ],
  caughtUp: [
    at("life", "INFO", "Table 'blocks' has caught up with the source, complete up to block 199")
  ],
  reorgDetected: [
    at("life", "WARN", "Reorg detected for table 'blocks', invalidating ranges: anvil 197-200")
  ],
  reorgDeleted: [
    at("life", "WARN", "Deleted 3 rows from table 'blocks' due to blockchain reorganization")
  ],
  reorgHandled: [at("life", "INFO", "Successfully handled reorg for table 'blocks'")],
  lastMinute: [
    at(
      "life",
      "INFO",
      "Table 'blocks' (caught up): 204 rows and 201 blocks in the last minute, complete up to block 200, 0 blocks behind the source"
    )
  ],
  signalReceived: [at("life", "INFO", "Received SIGTERM, shutting down gracefully...")],
  shuttingDown: [at("life", "INFO", "Shutting down 3 stream processing tasks...")],
  tasksEnded: [at("life", "INFO", "All stream tasks shut down gracefully")],
  shutdownComplete: [at("life", "INFO", "Shutdown complete")],
  resuming: [at("life", "INFO", "Resuming table 'blocks' from checkpoint: block_num > 200")],
  parked: [
    at(
      "database",
      "ERROR",
      "Table 'foreign' is parked until the config changes or ampsync is started again: table \"foreign\" is refused: something of this name exists that ampsync did not create; it is left alone"
    )
  ],
  insertFailed: [
    at(
      "database",
      "ERROR",
      words`CRITICAL: Failed to insert rows into table 'blocks': ${RAISED}.refuse_insert())`
    )
  ],
  batchReduced: [at("database", "WARN", words`Reducing batch size to ${N} due to repeated errors`)],
  reorgFailed: [
    at("database", "ERROR", words`CRITICAL: Failed to handle reorg for table 'hashes': ${RAISED}.refuse_delete())`)
  ],
  streamEnded: [at("server", "WARN", "Stream ended for table 'blocks'. Attempting reconnection...")],
  streamFailed: [at(
    "server",
    "ERROR",
    words`Failed to create stream for table 'blocks' (attempt 1/5): GetFlightInfo failed with UNAVAILABLE: closed for repair (at http://127.0.0.1:${N}, which AMP_FLIGHT_ADDR names)`
  )],
  retrying: [at("server", "WARN", words`Retrying stream for table 'blocks' in ${N} seconds...`)],
  stalled: [
    at("server", "ERROR", "Max retries (5) reached for table 'blocks'. It is stalled and keeps being retried.")
  ],
  diverged: [
    at(
      "silence",
      "ERROR",
      "Table 'blocks': the source no longer has block 19, up to which the table is complete, and sends nothing that replaces it. Set ON_CHAIN_RESET=resync to follow a development chain that was started again"
    )
  ]
}

const expectedIn = (scene: Scene) => (name: LineName) => (lines[name] ?? []).filter((line) => line.scene === scene)

const logged = new Map<Scene, ReadonlyArray<LoggedLine>>()

describe.concurrent("the log", () => {
  for (const scene of Object.keys(scenes) as Array<Scene>) {
    it.live(`has the lines of the scene "${scene}", word for word`, () => {
      const { logged: read, stage } = makeStage(expectedIn(scene))
      const names = (Object.keys(lines) as Array<LineName>).filter((name) => expectedIn(scene)(name).length > 0)
      return Effect.scoped(Effect.andThen(scenes[scene](stage), stage.sees(...names))).pipe(
        Effect.ensuring(Effect.sync(() => logged.set(scene, read())))
      )
    }, 120_000)
  }
})

afterAll(() => {
  if (process.env["CATALOGUE"] === undefined) return
  for (const [name, expected] of Object.entries(lines)) {
    for (const one of expected) {
      const found = logged.get(one.scene)?.find((line) => isExpected(one, line))
      console.log(`${name} ${one.level}\n  ${found?.message ?? "is not there"}`)
    }
  }
})
