import { assert, describe, it } from "@effect/vitest"
import { plain } from "../../../../src/domain/display/Line.ts"
import { problemsOf } from "../../../../src/domain/health/SyncRecord.ts"
import { statusJson } from "../../../../src/programs/verbs/status/statusJson.ts"
import { ageOf, statusLines } from "../../../../src/programs/verbs/status/statusText.ts"
import { syncRecord, tableRecord, writerRecord } from "./records.ts"

const place = "schema \"chain\" of database \"chain\" at localhost:5432"
const textAt = (record: Parameters<typeof statusLines>[0], width: number | undefined) =>
  statusLines(record, { place, width }).map(plain)

const parked = syncRecord({
  tables: [
    tableRecord("blocks"),
    tableRecord("logs", {
      state: "parked",
      reason:
        "the query no longer fits it: column \"a\" is text, the query yields bigint.\nUndo what was changed, or drop the table"
    })
  ]
})

describe("what needs attention", () => {
  it("is a table that is stalled, parked, diverged, offline or stopped, and nothing where all tables are synced", () => {
    assert.deepStrictEqual(problemsOf(syncRecord()), [])
    const states = [
      "starting",
      "catching up",
      "caught up",
      "standby",
      "searching",
      "retrying",
      "removed",
      "stalled",
      "parked",
      "diverged",
      "offline",
      "stopped"
    ]
    const found = problemsOf(syncRecord({ tables: states.map((state) => tableRecord(state, { state })) }))
    assert.deepStrictEqual(found.map(({ table }) => table), ["stalled", "parked", "diverged", "offline", "stopped"])
  })

  it("is a schema into which no table is synced, also where all have left the config", () => {
    for (const tables of [[], [tableRecord("logs", { state: "removed" })]]) {
      assert.deepStrictEqual(problemsOf(syncRecord({ tables })).map(({ code }) => code), ["no tables"])
    }
  })

  it("is a reload that a living process rejected, but not that of a dead one", () => {
    const rejected = { reloadFailedAtMillis: 1, reloadReason: "syntax error" }
    const [found] = problemsOf(syncRecord({ writers: [writerRecord(rejected)] }))
    assert.strictEqual(found?.code, "reload failed")
    assert.include(found?.message, "syntax error")
    assert.deepStrictEqual(problemsOf(syncRecord({ writers: [writerRecord({ ...rejected, isAlive: false })] })), [])
  })
})

describe("the status as text", () => {
  it("fits 80 columns with what matters most, and shows every column in 200", () => {
    for (const record of [syncRecord(), parked]) {
      const narrow = textAt(record, 80)
      assert.deepStrictEqual(narrow.slice(1).filter((line) => line.length > 80), [])
      const head = narrow.find((line) => line.trimStart().startsWith("table"))!
      assert.match(head, /table +state +.*rows +.*watermark +.*age .*lag/)
      const wide = textAt(record, 200)
      assert.deepStrictEqual(wide.filter((line) => line.length > 200), [])
      const all = wide.find((line) => line.trimStart().startsWith("table"))!
      assert.match(
        all,
        /table +state +since +rows +provisional +watermark +age +head +lag +lag s +last reorg +dataset +network/
      )
    }
  })

  it("has the reason of a table below it, on lines that fit, and what needs attention in the last one", () => {
    const lines = textAt(parked, 80)
    const row = lines.findIndex((line) => line.trimStart().startsWith("logs"))
    assert.strictEqual(
      `${lines[row + 1]!.trim()} ${lines[row + 2]!.trim()}`,
      "the query no longer fits it: column \"a\" is text, the query yields bigint. Undo what was changed, or drop the table"
    )
    assert.strictEqual(lines.at(-1), "Needs attention: logs (parked)")
    assert.strictEqual(textAt(syncRecord(), 80).at(-1), "All is well.")
  })

  it("shows the process, what it writes, and a config that it rejected", () => {
    const record = syncRecord({
      writers: [
        writerRecord({ reloadFailedAtMillis: syncRecord().readAtMillis - 10_000, reloadReason: "syntax error" })
      ]
    })
    const text = textAt(record, undefined).join("\n")
    assert.include(text, "host-1 pid 42 (0123abcd)  alive")
    assert.include(text, "ampsync 0.1.0, started 10 min ago, config of 5 min ago, writes blocks, logs")
    assert.include(
      text,
      "the config that was changed 10 s ago is rejected, and the previous one stays active: syntax error"
    )
    assert.include(text, "_/example, network anvil: block 9,999")
    assert.include(text, "Needs attention: reload failed")
  })

  it("gives the time since in the unit that fits", () => {
    const ages = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map((seconds) => ageOf(0, seconds * 1_000))
    assert.deepStrictEqual(ages, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"])
    assert.strictEqual(ageOf(undefined, 1), "-")
  })
})

describe("the status as JSON", () => {
  it("has numbers as numbers, times in ISO 8601, the parts of a writer, and null for what is not known", () => {
    const document = statusJson(
      syncRecord({
        tables: [
          tableRecord("blocks"),
          tableRecord("new", { state: "starting", watermark: undefined, lastReorg: undefined })
        ]
      }),
      { database: { host: "h", port: 5432, database: "d", user: "u", password: undefined, ssl: { mode: "prefer" } } },
      { databaseSchema: "s" }
    )
    assert.deepInclude(document.tables[0], {
      watermark: 9_999,
      rows: 1_234_567,
      lag_blocks: 2,
      lag_seconds: 3,
      watermark_at: "2026-11-30T11:59:57.000Z",
      last_reorg: { at: "2026-11-30T09:00:00.000Z", first_block: 9_000, depth: 3 }
    })
    assert.deepInclude(document.tables[1], { watermark: null, last_reorg: null })
    assert.deepInclude(document.writers[0], { host: "host-1", pid: 42, version: "0.1.0", alive: true })
    assert.deepStrictEqual(document.database, { host: "h", port: 5432, database: "d", schema: "s" })
    assert.strictEqual(document.ok, true)
  })
})
