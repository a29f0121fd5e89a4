/** Every log line, provoked in the real program and found word for word in its output. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as log from "../../src/domain/logLines.ts"
import { logTargets } from "../../src/domain/logTargets.ts"
import { indexName } from "../../src/domain/postgres/table/tableIndexes.ts"
import * as failures from "./log-lines/failures.ts"
import { indexes } from "./log-lines/indexes.ts"
import { backlog, life } from "./log-lines/life.ts"
import { nozzle } from "./log-lines/nozzle.ts"
import { partitions } from "./log-lines/partitions.ts"
import * as changes from "./log-lines/reload.ts"
import { type Expected, isExpected, type LineName, type LoggedLine, makeStage, words } from "./log-lines/stage.ts"
import * as starts from "./log-lines/start.ts"

const scenes = {
  life,
  backlog,
  nozzle,
  server: failures.server,
  silence: failures.silence,
  reload: changes.reload,
  indexes,
  partitions,
  adminApiDown: starts.adminApiDown,
  nothingAnswers: starts.nothingAnswers,
  standby: changes.standby,
  database: failures.database,
  versions: changes.versions,
  databaseDown: starts.databaseDown,
  nothingIsSaid: starts.nothingIsSaid,
  unknownDataset: starts.unknownDataset,
  wrongAddress: starts.wrongAddress
}

type Scene = keyof typeof scenes

/** Why no operator can bring a line about, and the test that does it in its own process. */
interface InProcess {
  readonly reason: string
  readonly file: string
  readonly title: string
}

const at = (scene: Scene, level: string, line: string | RegExp): Expected<Scene> => ({ scene, level, line })

const N = /\d+/
/** Two digits. */
const SECONDS = /\d+(?:\.\d+)?/
const PATH = /\S+\/dataset\.json/
const WRITER = /\S+ pid \d+ \([0-9a-f]{8}\)/
const PARKED = (table: string) => `Table '${table}' is parked until the config changes or ampsync is started again: `
const UNAVAILABLE = "Failed to fetch schema from admin-api: HTTP 503 METADATA_DB_ERROR for dataset"
const NO_ANSWER =
  /no answer from http:\/\/127\.0\.0\.1:\d+, which AMP_ADMIN_API_ADDR names, over HTTP: connect ECONNREFUSED 127\.0\.0\.1:\d+/
const UNREADABLE =
  "cannot read the chain of network \"anvil\" from table anvil.blocks: GetFlightInfo failed with PERMISSION_DENIED: blocks are not for you; set AMP_AUTH_TOKEN"
const ROOM = "(a b-tree holds 2704 bytes of a row)"
const ADVICE =
  "The table goes on without it. Remove it from \"indexes\" of the config, or name shorter columns; the next start tries once to build it again"
/** What a trigger raised, up to its name. */
const RAISED =
  /blocks? \d+(?: to \d+)?: PostgreSQL: a function of the database raised an exception \(SQLSTATE P0001; by function test_[0-9a-f]+/

/** By export of logLines.ts, in its order: every form of the line, with the values that are in it. */
const lines: Readonly<Record<LineName, ReadonlyArray<Expected<Scene>> | InProcess>> = {
  starting: [at("life", "INFO", "Starting ampsync with hot-reload support...")],
  loadedManifest: [
    at("life", "INFO", "Loaded manifest: example v0.1.0"),
    at("versions", "INFO", "Loaded manifest: example, newest version")
  ],
  connected: [at("life", "INFO", words`Connected to Nozzle server at http://127.0.0.1:${N}`)],
  healthServed: [at("databaseDown", "INFO", words`Health endpoints: http://127.0.0.1:${N}`)],
  telemetryFailed: [
    at(
      "databaseDown",
      "WARN",
      words`Cannot export metrics to http://127.0.0.1:${N}/v1/metrics: connect ECONNREFUSED 127.0.0.1:${N}; check OTEL_EXPORTER_OTLP_ENDPOINT. They are dropped until an export succeeds; it is tried every minute`
    )
  ],
  telemetryExported: {
    reason: "the exporter pauses for a minute after a failure",
    file: "test/layers/telemetry/reportingClient.test.ts",
    title: "is logged once where the exporter gives up, and once when an export succeeds again"
  },
  checkpointsReady: [at("life", "INFO", "Checkpoint tracking initialized")],
  preparing: [at("life", "INFO", "Preparing to sync dataset: _/example@0.1.0")],
  watching: [at("life", "INFO", words`File watcher initialized for '${PATH}'`)],
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
    at("life", "INFO", "Table 'blocks' has caught up with the source, complete up to block 199"),
    at("nozzle", "INFO", "Table 'tip' has caught up with the source")
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
      words`Table 'blocks' (caught up): ${N} rows and ${N} blocks in the last minute, complete up to block 200, 0 blocks behind the source`
    )
  ],
  catchingUp: [at(
    "backlog",
    "INFO",
    words`Table 'blocks' is catching up: ${N} rows/s, ${N} blocks behind the source, about ${/\d+ \w+/} left`
  )],
  tablesCatchingUp: [at(
    "backlog",
    "INFO",
    words`6 of 6 tables are catching up: ${N} rows/s, ${N} blocks behind the source, about ${/\d+ \w+/} left`
  )],
  signalReceived: [at("life", "INFO", "Received SIGTERM, shutting down gracefully...")],
  shuttingDown: [at("life", "INFO", "Shutting down 3 stream processing tasks...")],
  tasksEnded: [at("life", "INFO", "All stream tasks shut down gracefully")],
  shutdownComplete: [at("life", "INFO", "Shutdown complete")],
  resuming: [at("life", "INFO", "Resuming table 'blocks' from checkpoint: block_num > 200")],
  parked: [
    at(
      "database",
      "ERROR",
      "Table 'foreign' is parked until the config changes or ampsync is started again: table \"foreign\" is rejected: a relation of this name exists that ampsync did not create; use another name in the config, or another DATABASE_SCHEMA"
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
    words`Failed to create stream for table 'blocks' (attempt ${N}/5): GetFlightInfo failed with UNAVAILABLE: closed for repair (at http://127.0.0.1:${N}, which AMP_FLIGHT_ADDR names)`
  )],
  retrying: [at("server", "WARN", words`Retrying stream for table 'blocks' in ${N} seconds...`)],
  stalled: [
    at("server", "ERROR", "Max retries (5) reached for table 'blocks'. It is stalled and keeps being retried.")
  ],
  cannotBeFollowed: [
    at(
      "reload",
      "WARN",
      words`CDC_READY: wal_level is replica, so nobody can follow publication "log_lines"; set wal_level = logical and start PostgreSQL again`
    )
  ],
  pollsInVain: [
    at(
      "reload",
      "WARN",
      "VERSION_POLL_INTERVAL_SECS has no effect, because every dataset is named with its version; name one without it to follow new versions"
    )
  ],
  manifestChanged: [at("reload", "INFO", "Manifest file changed, initiating hot-reload...")],
  reloadFailed: [
    at(
      "reload",
      "ERROR",
      words`Failed to reload manifest: could not evaluate the config file ${PATH}:1: not valid JSON`
    ),
    at("reload", "ERROR", `Failed to reload manifest: ${UNAVAILABLE} "_/example@0.1.0": injected failure`),
    at("reload", "DEBUG", `Failed to reload manifest: ${UNAVAILABLE} "_/example@0.1.0": injected failure`)
  ],
  keepingPrevious: [at("reload", "WARN", "Keeping previous configuration active")],
  keepingPreviousForNow: [
    at(
      "reload",
      "WARN",
      "Keeping previous configuration active; trying the new one again until it works or changes"
    )
  ],
  unknownDependency: [
    at(
      "reload",
      "ERROR",
      "Failed to reload manifest: dependency \"anvil\" is \"_/anvil@9.9.9\": \"anvil\" has no version \"9.9.9\"; available: 0.1.0"
    )
  ],
  reloaded: [
    at("reload", "INFO", "Successfully loaded new manifest: example v0.1.0"),
    at("versions", "INFO", "Successfully loaded new manifest: example, newest version (v0.1.0)")
  ],
  tablesAfterReload: [at("reload", "INFO", "Tables: 1 unchanged, 1 changed, 1 started")],
  tableNote: [
    at("reload", "INFO", words`Table 'blocks': its query changed: rows up to block 19 ${/.*/} resync --table blocks`)
  ],
  tableRemoved: [
    at(
      "reload",
      "WARN",
      "Table 'logs' is no longer in the config and not synced here any more; its complete rows and its checkpoint stay"
    )
  ],
  statesNotReported: [
    at(
      "reload",
      "WARN",
      "_ampsync_progress does not show the present states, trying again: PostgreSQL: canceling statement due to lock timeout (SQLSTATE 55P03)"
    )
  ],
  standingBy: [at("standby", "WARN", words`Standing by for table 'logs': table "logs" is being written by ${WRITER}`)],
  tookOver: [at("standby", "INFO", words`Took over table 'blocks' from ${WRITER}, which released it`)],
  notTrimmed: [
    at("standby", "INFO", words`Table 'logs' keeps its provisional rows: table "logs" is being written by ${WRITER}`)
  ],
  newVersion: [
    at("versions", "INFO", "Version 0.2.0 of dataset _/anvil is published, initiating hot-reload...")
  ],
  versionTaken: [at("versions", "INFO", "Dataset _/anvil: version 0.2.0 is read from now on, 0.1.0 until now")],
  stillWaiting: [
    at(
      "nothingIsSaid",
      "WARN",
      words`Still waiting after ${N} s for a connection to Arrow Flight (at http://127.0.0.1:${N}, which AMP_FLIGHT_ADDR names); this attempt ends after 10 s, and the next one follows`
    ),
    at(
      "nothingIsSaid",
      "INFO",
      words`Still waiting after ${N} s for the first message of a stream from Arrow Flight (at http://127.0.0.1:${N}, which AMP_FLIGHT_ADDR names), which comes with the next block`
    )
  ],
  heartbeatMissing: [
    at(
      "nothingIsSaid",
      "WARN",
      words`The heartbeat of this process is not recorded by the database at 127.0.0.1:${N} (DATABASE_URL): no answer within 3 seconds. Without one for six seconds another process may take over its tables; trying again every 2 s`
    )
  ],
  heartbeatRecorded: [at("nothingIsSaid", "INFO", "The heartbeat of this process is recorded again")],
  databaseUnreachable: [
    at(
      "databaseDown",
      "WARN",
      words`Database connection failed: PostgreSQL: connect ECONNREFUSED 127.0.0.1:${N} (at 127.0.0.1:${N}, which DATABASE_URL names); check that it answers there; trying again in ${SECONDS} s`
    )
  ],
  bookkeepingFailed: [
    at(
      "databaseDown",
      "WARN",
      words`The bookkeeping tables could not be prepared: PostgreSQL: read ECONNRESET; trying again in ${SECONDS} s`
    )
  ],
  withoutAdminApi: [
    at(
      "adminApiDown",
      "WARN",
      words`Failed to fetch schema from admin-api: dataset "_/example@0.1.0": ${NO_ANSWER}; going on without it. Until the Admin API answers at AMP_ADMIN_API_ADDR, names and versions of datasets are not checked, networks come from the streams, and the lag behind the source may be unknown`
    )
  ],
  adminApiAnswers: [at("adminApiDown", "INFO", "The Admin API answers for dataset _/example: version 0.1.0")],
  tryingAgain: [
    at(
      "unknownDataset",
      "WARN",
      words`${new RegExp(UNAVAILABLE)} "_/nobody@0.1.0": injected failure; trying again in ${SECONDS} s`
    )
  ],
  unpublished: [
    at(
      "unknownDataset",
      "WARN",
      "Failed to fetch schema from admin-api: dataset \"_/nobody@0.1.0\": no dataset \"nobody\" is published at this server; publish it, or check its namespace and name; going on, as the queries of the config need only the datasets that they name"
    )
  ],
  schemaNotFetched: [
    at(
      "wrongAddress",
      "ERROR",
      `${
        PARKED("blocks")
      }Failed to fetch schema from admin-api: HTTP 404 for dataset "_/example@0.1.0": the server is not an Admin API of a known generation; check AMP_ADMIN_API_ADDR`
    ),
    at(
      "nothingAnswers",
      "WARN",
      words`Failed to fetch schema from admin-api: dataset "_/anvil": ${NO_ANSWER}; trying again in ${SECONDS} s`
    )
  ],
  notOverFlight: [
    at(
      "nothingAnswers",
      "WARN",
      words`Dataset "_/anvil" cannot be read over Flight either: GetFlightInfo failed with UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:${N} (at http://127.0.0.1:${N}, which AMP_FLIGHT_ADDR names)`
    )
  ],
  pinLeftOut: [
    at(
      "nozzle",
      "WARN",
      "Version 0.1.0-a_b of dataset anvil has no form in the SQL of a nozzle server, so its newest version is read"
    )
  ],
  blockNotChecked: [
    at(
      "nozzle",
      "WARN",
      `Block 19 could not be checked against the server's chain: ${UNREADABLE}. The table is unverified until it can be checked`
    )
  ],
  headUnreadable: [
    at(
      "nozzle",
      "WARN",
      `The lag of tables is not known, and they count as caught up once their streams are silent: ${UNREADABLE}`
    )
  ],
  reconnecting: [
    at(
      "nozzle",
      "WARN",
      words`Table '${/blocks|tip/}': reconnecting from the newest watermark: block 30 does not follow the block 29 received before it`
    )
  ],
  trimmed: [at("nozzle", "INFO", "Deleted 1 provisional rows from table 'blocks'")],
  indexEvent: [
    at(
      "indexes",
      "INFO",
      `Table 'named' has caught up, building index ${indexName("named", ["extra_data"])} in the background`
    ),
    at(
      "indexes",
      "INFO",
      words`Table 'named' has index ${new RegExp(
        indexName("named", ["extra_data"])
      )}, ${N} s after the first build began`
    ),
    at(
      "indexes",
      "INFO",
      `Table 'broken': dropped index ${indexName("broken", ["hash"])}, which an interrupted build had left behind`
    ),
    at(
      "indexes",
      "WARN",
      `Table 'wide': index ${
        indexName("wide", ["extra_data"])
      } is left out: rows have values in ("extra_data") that are too large for it ${ROOM}. ${ADVICE}`
    )
  ],
  indexDropped: [
    at(
      "indexes",
      "WARN",
      `Table 'named': dropped index ${
        indexName("named", ["extra_data"])
      }: a row of block 5 has values in ("extra_data") that are too large for it ${ROOM}. ${ADVICE}`
    ),
    at(
      "indexes",
      "WARN",
      `Table 'nameless': dropped index ${
        indexName("nameless", ["extra_data"])
      }: a row of block 5 has values in ("extra_data") that are too large for an index, which PostgreSQL does not name, and this one may be it ${ROOM}. ${ADVICE}`
    )
  ],
  fullIndexInUse: {
    reason: "Somebody has to read the table in a transaction that stays open",
    file: "test/programs/table/wideValues.test.ts",
    title:
      "I4 is reported while somebody reads the table, with the server process and a lag that is true, and costs nothing then"
  },
  fullIndexStays: [
    at(
      "indexes",
      "ERROR",
      `${
        PARKED("keyed")
      }table "keyed" is rejected: a row of block 5 has values that are too large for its primary key ("hash", "extra_data") ${ROOM}; name shorter columns in "primaryKey" of the config`
    ),
    at(
      "indexes",
      "ERROR",
      `${
        PARKED("byhand")
      }table "byhand" is rejected: a row of block 5 has values that are too large for index by_hand on ("extra_data") ${ROOM}, which is not one of the config; drop it, or index an expression of a bounded length instead`
    )
  ],
  indexesLocked: [
    at(
      "indexes",
      "WARN",
      words`Table 'locked': cannot build ${new RegExp(
        indexName("locked", ["hash"])
      )} yet: the session of server process ${N} holds the advisory lock of the table's index builds. If it builds an index, this ends by itself. If it does not (SELECT state, query FROM pg_stat_activity WHERE pid = ${N}), a connection pooler kept the lock of an earlier build: end the session with SELECT pg_terminate_backend(${N}). Trying again every 10 seconds. The key of the lock is hashtextextended('ampsync indexes ["${/test_[0-9a-f]+/}","locked"]', 0)`
    )
  ],
  indexFailed: [
    at(
      "indexes",
      "WARN",
      `Table 'taken' is synced, but an index could not be built: PostgreSQL: relation "${
        indexName("taken", ["hash"])
      }" already exists (SQLSTATE 42P07). The next start tries once to build it again`
    ),
    at(
      "indexes",
      "WARN",
      "Table 'cut' is synced, but an index could not be built, trying again: PostgreSQL: terminating connection due to administrator command (SQLSTATE 57P01)"
    )
  ],
  partitionsMade: [
    at("partitions", "INFO", "Table 'blocks': made 3 partitions for blocks 0-14"),
    at("partitions", "INFO", "Table 'blocks': made the partition for blocks 15-19")
  ],
  partitionNotMade: [
    at(
      "partitions",
      "WARN",
      "Table 'blocks': cannot make the partition behind block 19: PostgreSQL: canceling statement due to lock timeout (SQLSTATE 55P03). No row needs it yet; trying again in 60 s"
    )
  ],
  manyPartitions: {
    reason: "A table with a thousand partitions takes long to make, and to drop",
    file: "test/programs/table/makePartitions.test.ts",
    title: "warns once where a table has more than a thousand"
  },
  indexWaits: {
    reason: "A build is looked at every ten seconds",
    file: "test/layers/TableIndexes.test.ts",
    title: "that wait for an older transaction name it, and go on when it has ended"
  },
  buildingKeys: [
    at("nozzle", "INFO", /^Table 'blocks': building index blocks_.*; its new blocks wait until it is built$/)
  ],
  keysBuilt: [
    at(
      "nozzle",
      "INFO",
      "Table 'blocks' has its primary key and its indexes now, which were left for the time after the first fill"
    )
  ],
  keysLost: {
    reason: "A database has to lose one transaction, and none that came before",
    file: "test/programs/table/buildKeys.test.ts",
    title: "builds them again where the database lost them and no chunk, which the next chunk shows"
  },
  indexNotConfigured: [
    at(
      "indexes",
      "INFO",
      `Table 'dropped' keeps index ${
        indexName("dropped", ["hash"])
      }, which the config no longer names; drop it if nobody needs it`
    )
  ],
  diverged: [
    at(
      "silence",
      "ERROR",
      "Table 'blocks': the source no longer has block 19, up to which the table is complete, and sends nothing that replaces it. It continues once the source's chain is longer; where that is a development chain that was started again, set ON_CHAIN_RESET=resync to follow it"
    )
  ],
  crashed: {
    reason: "an internal error",
    file: "test/programs/table/tableFibers.test.ts",
    title: "I4 that end by an internal error are parked, with a line of the log, and tried again with the next config"
  },
  syncEnded: {
    reason: "an internal error, or one of the app that the sync is part of",
    file: "test/end-to-end/logLines.inProcess.test.ts",
    title: "an app whose own logger fails is told that the sync has ended, and every table is parked"
  }
}

const expectedIn = (scene: Scene) => (name: LineName): ReadonlyArray<Expected<Scene>> => {
  const expected = lines[name]
  return "reason" in expected ? [] : expected.filter((line) => line.scene === scene)
}

const names = Object.keys(lines) as ReadonlyArray<LineName>
const logged = new Map<Scene, ReadonlyArray<LoggedLine>>()

describe.concurrent("the log", () => {
  for (const scene of Object.keys(scenes) as Array<Scene>) {
    it.live(`has the lines of the scene "${scene}", word for word`, () => {
      const { logged: read, stage } = makeStage(expectedIn(scene))
      const all = names.filter((name) => expectedIn(scene)(name).length > 0)
      return Effect.scoped(Effect.andThen(scenes[scene](stage), stage.sees(...all))).pipe(
        Effect.ensuring(Effect.sync(() => logged.set(scene, read())))
      )
    }, 180_000)
  }
})

/** The target that lines of a source file have: that of its room, and `ampsync` where the room has none. */
const targetOf = (path: string): string => {
  const [, layer] = /^layers\/([\w-]+)/.exec(path) ?? []
  const [, program] = /^programs\/(\w+)\//.exec(path) ?? []
  const room = program ?? layer?.replace(/(?<=[a-z])(?=[A-Z])/g, "_").replaceAll("-", "_").toLowerCase()
  return logTargets.find((target) => target === `ampsync::${room}`) ?? "ampsync"
}

const src = join(import.meta.dirname, "..", "..", "src")
// What the domain logs has the target that it is given.
const sources = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts") && !path.startsWith("domain/"))
  .map((path) => ({ path, text: readFileSync(join(src, path), "utf8") }))

/** By name of a line: the targets of the files that log it, where they do so by its name. */
const targetsOf = (name: LineName): ReadonlyArray<string> =>
  sources.filter(({ text }) =>
    new RegExp(`Effect\\.log(?:Debug|Info|Warning|Error)\\)?\\(\\s*log\\.${name}\\b`).test(text)
  ).map(({ path }) => targetOf(path))

describe("lines of the log", () => {
  it("have the target of the room whose source logs them", () => {
    const checked = names.flatMap((name) => {
      const [expected, targets] = [lines[name], targetsOf(name)]
      if ("reason" in expected || targets.length === 0) return []
      return expected.flatMap((one) => {
        const found = (logged.get(one.scene) ?? []).filter((line) => isExpected(one, line))
        return found.filter(({ target }) => !targets.includes(target)).map(({ message, target }) => [target, message])
      })
    })
    assert.deepStrictEqual(checked, [])
    assert.isAbove(names.filter((name) => targetsOf(name).length > 0).length, 40)
  })

  it("have the table that they are about", () => {
    const all = [...logged.values()].flat()
    const wrong = all.filter(({ message, table }) => {
      const [, quoted, last] = /\b[Tt]able '([^']+)'|for table: (\S+)/.exec(message) ?? []
      return (quoted ?? last) !== undefined && table !== (quoted ?? last)
    })
    assert.deepStrictEqual(wrong, [])
  })
})

describe("the catalogue of log lines", () => {
  it("has every export of logLines.ts, and each form of those that have several", () => {
    assert.sameMembers([...names], Object.keys(log))
    for (const name of names) if (!("reason" in lines[name])) assert.isNotEmpty(lines[name], name)
    assert.lengthOf(lines.indexEvent as ReadonlyArray<unknown>, Object.keys(log.indexEvent).length)
  })

  it("names a test for each line that no operator can bring about", () => {
    for (const name of names) {
      const expected = lines[name]
      if (!("reason" in expected)) continue
      assert.include(readFileSync(join(import.meta.dirname, "..", "..", expected.file), "utf8"), expected.title, name)
    }
  })
})

afterAll(() => {
  if (process.env["CATALOGUE"] === undefined) return
  for (const name of names) {
    const expected = lines[name]
    if ("reason" in expected) console.log(`${name}: ${expected.reason}; ${expected.file}: ${expected.title}`)
    else {
      for (const one of expected) {
        const found = logged.get(one.scene)?.find((line) => isExpected(one, line))
        console.log(`${name} ${one.level}: ${found?.message ?? "(not found)"}`)
      }
    }
  }
})
