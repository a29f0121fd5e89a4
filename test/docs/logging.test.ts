import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import * as log from "../../src/domain/logLines.ts"
import { logTargets } from "../../src/domain/logTargets.ts"
import { logFormats } from "../../src/domain/settings/logFormat.ts"
import { initialStatus } from "../../src/domain/TableStatus.ts"
import { pageOf, root, tableRows } from "./pages.ts"

const page = pageOf("docs/logging.md")
const delay = Duration.seconds(2)
const way = { rowsPerSecond: 10, behind: 5n, secondsLeft: 60 }
const unknownWay = { rowsPerSecond: 10, behind: undefined, secondsLeft: undefined }
const index = { name: "logs_tx_hash_idx", columns: ["tx_hash"] }
const range: BlockRange = { network: "anvil", start: 5n, end: 6n, hash: "0x06", prevHash: "0x04", timestamp: undefined }
const reference = { namespace: "_", name: "anvil", revision: "0.1.0" }

/** Each line as it may be logged; one that is new is missed by the compiler. */
const lines: Readonly<Record<keyof typeof log, ReadonlyArray<string>>> = {
  shutdownComplete: [log.shutdownComplete],
  signalReceived: [log.signalReceived("SIGTERM")],
  starting: [log.starting],
  loadedManifest: [log.loadedManifest("example", "0.1.0"), log.loadedManifest("example", undefined)],
  pollsInVain: [log.pollsInVain],
  withoutAdminApi: [log.withoutAdminApi("no answer")],
  adminApiAnswers: [log.adminApiAnswers("_/anvil", "0.1.0"), log.adminApiAnswers("_/anvil", undefined)],
  schemaNotFetched: [log.schemaNotFetched("_/anvil", "HTTP 404", "gone"), log.schemaNotFetched("_/anvil", "", "gone")],
  unpublished: [log.unpublished("not published")],
  notInConfig: [log.notInConfig("logs")],
  notOverFlight: [log.notOverFlight("_/anvil", "unknown")],
  unlisted: [log.unlisted("logs", "_/anvil")],
  connected: [log.connected(new URL("http://localhost:1602"))],
  databaseUnreachable: [
    log.databaseUnreachable("refused", undefined, delay),
    log.databaseUnreachable("refused", "the pool of the app", delay)
  ],
  stillWaiting: [log.stillWaiting("the server", 2_000, undefined), log.stillWaiting("the server", 2_000, delay)],
  heartbeatMissing: [log.heartbeatMissing("the database", "refused")],
  heartbeatRecorded: [log.heartbeatRecorded],
  bookkeepingFailed: [log.bookkeepingFailed("refused", delay)],
  healthServed: [log.healthServed("0.0.0.0:8080")],
  telemetryFailed: [log.telemetryFailed("traces", "http://localhost:4318/v1/traces", "HTTP 500", "the address")],
  telemetryExported: [log.telemetryExported("traces", "http://localhost:4318/v1/traces")],
  checkpointsReady: [log.checkpointsReady],
  cannotBeFollowed: [log.cannotBeFollowed("ampsync", "replica")],
  preparing: [log.preparing("_/example")],
  selectsAll: [log.selectsAll("logs", 3)],
  selectsColumns: [log.selectsColumns("logs", ["a", "b"])],
  resuming: [log.resuming("logs", 5n)],
  fromTheBeginning: [log.fromTheBeginning("logs")],
  streamStarted: [log.streamStarted("logs")],
  caughtUp: [log.caughtUp("logs", 5n), log.caughtUp("logs", undefined)],
  lastMinute: [log.lastMinute(initialStatus("logs", 0), 1, 1n)],
  catchingUp: [log.catchingUp("logs", way), log.catchingUp("logs", unknownWay)],
  tablesCatchingUp: [log.tablesCatchingUp(6, 7, way), log.tablesCatchingUp(6, 7, unknownWay)],
  received: [log.received("logs", 1, "5-6")],
  inserted: [log.inserted("logs", 1)],
  checkpointUpdated: [log.checkpointUpdated("logs", 5n)],
  batchPerformance: [log.batchPerformance(10, 1, 1)],
  batchReduced: [log.batchReduced(1)],
  reorgDetected: [log.reorgDetected("logs", range, 6n)],
  reorgDeleted: [log.reorgDeleted("logs", 1)],
  reorgHandled: [log.reorgHandled("logs")],
  streamEnded: [log.streamEnded("logs")],
  streamFailed: [log.streamFailed("logs", 1, 5, "refused")],
  retrying: [log.retrying("logs", 1)],
  stalled: [log.stalled("logs", 5)],
  insertFailed: [log.insertFailed("logs", "refused")],
  reorgFailed: [log.reorgFailed("logs", "refused")],
  parked: [log.parked("logs", "refused")],
  standingBy: [log.standingBy("logs", "held")],
  tookOver: [log.tookOver("logs", "host pid 1 (0123abcd)", "which released it")],
  watching: [log.watching("amp.config.ts")],
  manifestChanged: [log.manifestChanged],
  newVersion: [log.newVersion("_/anvil", "0.2.0")],
  versionTaken: [log.versionTaken("_/anvil", "0.1.0", "0.2.0")],
  unknownDependency: [log.unknownDependency("anvil", reference, { detail: "unknown" })],
  pinLeftOut: [log.pinLeftOut("_/anvil", "0.1.0-rc.1")],
  reloaded: [log.reloaded("example", "0.1.0", undefined), log.reloaded("example", undefined, "0.1.0")],
  reloadFailed: [log.reloadFailed("refused")],
  keepingPrevious: [log.keepingPrevious],
  keepingPreviousForNow: [log.keepingPreviousForNow],
  tablesAfterReload: [log.tablesAfterReload({ unchanged: 1, changed: 0, started: 1, removed: 0, retried: 0 })],
  tableNote: [log.tableNote("logs", "its query changed")],
  blockNotChecked: [log.blockNotChecked(5n, "no answer")],
  tryingAgain: [log.tryingAgain("no answer", delay)],
  tableRemoved: [log.tableRemoved("logs")],
  trimmed: [log.trimmed("logs", 1)],
  notTrimmed: [log.notTrimmed("logs", "locked")],
  statesNotReported: [log.statesNotReported("no answer")],
  reconnecting: [log.reconnecting("logs", "block 5", "no proof")],
  diverged: [log.diverged("logs", "the source no longer has block 5")],
  headUnreadable: [log.headUnreadable("no answer")],
  crashed: [log.crashed("logs", "Error")],
  indexEvent: Object.values(log.indexEvent).map((line) => line("logs", index, 1000)),
  indexWaits: [log.indexWaits("logs", 42)],
  indexDropped: [log.indexDropped("logs", index, "block 5", true), log.indexDropped("logs", index, "block 5", false)],
  fullIndexStays: [true, false].map((isPrimaryKey) => log.fullIndexStays({ ...index, isPrimaryKey }, "block 5")),
  fullIndexInUse: [[], [42], [42, 43]].map((processIds) =>
    log.fullIndexInUse({ message: "a row of block 5 is too large for index \"i\"" }, processIds, { message: "locked" })
  ),
  indexesLocked: [log.indexesLocked("logs", [index.name], "ampsync indexes", 42)],
  indexFailed: [log.indexFailed("logs", "refused", true), log.indexFailed("logs", "refused", false)],
  partitionsMade: [log.partitionsMade("logs", 1, 0n, 9n), log.partitionsMade("logs", 3, 0n, 29n)],
  partitionNotMade: [log.partitionNotMade("logs", 9n, "refused", 60)],
  manyPartitions: [log.manyPartitions("logs", 1_001)],
  buildingKeys: [log.buildingKeys("logs", index.name)],
  keysBuilt: [log.keysBuilt("logs")],
  keysLost: [log.keysLost("logs")],
  indexNotConfigured: [log.indexNotConfigured("logs", index.name)],
  syncEnded: [log.syncEnded],
  shuttingDown: [log.shuttingDown(3)],
  tasksEnded: [log.tasksEnded]
}

const chapters = [
  "start-and-stop",
  "waiting",
  "the-admin-api",
  "tables",
  "reorgs-and-the-chain",
  "failures",
  "reload",
  "indexes"
]

const escaped = (text: string): string => text.replaceAll(/[.*+?^$()|[\]\\]/g, "\\$&")

/** A line of the page as a pattern: what changes may be anything, also nothing. */
const patternOf = (cell: string) =>
  new RegExp(`^${cell.replace(/^`(.*)`$/, "$1").split(/\{[^}]*\}/).map(escaped).join("[\\s\\S]*")}$`)

/** So general that they would hide that a line is missing. */
const general = /^`(\{reason\}; trying again in \{n\} s|Table '\{t\}': \{note\})`$/

const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => readFileSync(join(root, "src", path), "utf8"))
  .join("\n")

const LEVELS: Readonly<Record<string, string>> = { Debug: "DEBUG", Info: "INFO", Warning: "WARN", Error: "ERROR" }

describe("docs/logging.md", () => {
  it("has every log line, and none that there is not", () => {
    const cells = chapters.flatMap((anchor) => tableRows(page, anchor)).map(([cell]) => cell!)
    const particular = cells.filter((cell) => !general.test(cell)).map(patternOf)
    const all = Object.entries(lines).filter(([name]) => name !== "tableNote" && name !== "tryingAgain")
    const missing = all.flatMap(([, texts]) => texts).filter((text) => !particular.some((line) => line.test(text)))
    assert.deepStrictEqual(missing, [])
    const texts = Object.values(lines).flat()
    assert.deepStrictEqual(cells.filter((cell) => !texts.some((text) => patternOf(cell).test(text))), [])
  })

  it("has the level that each line is logged at", () => {
    const rows = chapters.flatMap((anchor) => tableRows(page, anchor)).filter(([cell]) => !general.test(cell!))
    const found = [...sources.matchAll(/Effect\.log(Debug|Info|Warning|Error)\(\s*log\.(\w+)/g)]
    assert.isAbove(found.length, 30)
    const wrong = found.filter(([, level, name]) => {
      const texts = lines[name as keyof typeof log]
      const row = rows.find(([cell]) => texts.some((text) => patternOf(cell!).test(text)))
      return row !== undefined && !row[1]!.includes(LEVELS[level!]!)
    })
    assert.deepStrictEqual(wrong.map(([call]) => call), [])
  })

  it("has every target, and every format", () => {
    const named = tableRows(page, "which-lines").map(([name]) => name)
    assert.deepStrictEqual(named.slice(-logTargets.length), logTargets.map((target) => `\`${target}\``))
    for (const format of logFormats) assert.include(page.text, `\`${format}\``)
  })
})
