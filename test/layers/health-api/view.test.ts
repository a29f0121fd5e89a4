import { assert, describe, it } from "@effect/vitest"
import { headline } from "../../../src/layers/health-api/page/view/headline.ts"
import { Html, html } from "../../../src/layers/health-api/page/view/html.ts"
import { announcement, view } from "../../../src/layers/health-api/page/view/view.ts"
import type { Status } from "../../../src/services/HealthApi.ts"

const NOW = Date.parse("2026-11-30T12:00:00.000Z")
const secondsAgo = (seconds: number): string => new Date(NOW - 1_000 * seconds).toISOString()

const nothing = Array.from({ length: 60 }, () => 0)
const throughput = { rows_per_second: 0, bytes_per_second: 0, rows_by_second: nothing, bytes_by_second: nothing }

type Table = Status["tables"][number]

const table = (name: string, state: string, fields: Partial<Table> = {}): Table => ({
  table: name,
  state,
  reason: null,
  since: secondsAgo(60),
  watermark: 10,
  watermark_hash: "0x0a",
  watermark_at: secondsAgo(3),
  block_at: null,
  block_age_seconds: null,
  last_block: 10,
  source_head: 12,
  source_head_read_at: secondsAgo(1),
  lag_blocks: 2,
  lag_seconds: null,
  rows: 5,
  provisional_rows: 0,
  rows_committed: 5,
  bytes_committed: 100,
  blocks_committed: 11,
  ...throughput,
  chunk_rows: 1_000,
  stage_seconds: { source: 0, encode: 0, storage: 0 },
  unverified: false,
  confirmations: 0,
  held_blocks: 0,
  held_rows: 0,
  held_bytes: 0,
  failed_attempts: 0,
  retries: 0,
  last_error: null,
  first_error: null,
  reorgs: 0,
  ...fields
})

const status = (tables: ReadonlyArray<Table>, fields: Partial<Status> = {}): Status => ({
  version: "0.1.0",
  ready: true,
  reasons: [],
  started_at: secondsAgo(3_600),
  heartbeat_at: secondsAgo(1),
  config: {
    dataset: "_/example",
    version: "0.1.0",
    dialect: "amp",
    sources: null,
    fingerprint: "f",
    active_since: secondsAgo(3_600)
  },
  last_reload: null,
  permits: null,
  throughput,
  tables,
  last_reorgs: [],
  ...fields
})

const failedReload = { outcome: "failed", at: secondsAgo(5), reason: "syntax error", applied: 0, failed: 1 } as const

/** The text of the page without its tags. */
const textOf = (of: Status): string => view(of, NOW).text.replaceAll(/<[^>]+>/g, " ").replaceAll(/\s+/g, " ")

describe("html", () => {
  it("escapes what is put into it, also in lists and numbers, but not what it has made itself", () => {
    const hostile = `<b a="1" b='2'>&`
    const escaped = "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;"
    assert.strictEqual(
      html`<p title="${hostile}">${[hostile, 1, undefined, html`<i>${hostile}</i>`]}</p>`.text,
      `<p title="${escaped}">${escaped}1<i>${escaped}</i></p>`
    )
    assert.strictEqual(html`${new Html("<hr>")}`.text, "<hr>")
  })
})

describe("the headline", () => {
  it.each(
    [
      [status([]), "busy", "No table has started"],
      [status([], { config: null }), "warning", "No config is active"],
      [status([table("logs", "caught up")]), "good", "Table logs is caught up"],
      [status([table("logs", "caught up")], { ready: false }), "warning", "Table logs is caught up, but not ready"],
      [status([table("a", "standby"), table("b", "standby")]), "idle", "All 2 tables are on standby"],
      [status([table("a", "caught up"), table("b", "catching up")]), "busy", "1 catching up, 1 caught up"],
      [
        status([table("a", "caught up"), table("b", "retrying"), table("c", "parked"), table("d", "caught up")]),
        "bad",
        "1 parked, 1 retrying, 2 caught up"
      ],
      [
        status([table("a", "caught up")], { last_reload: failedReload }),
        "warning",
        "Table a is caught up; the last reload failed"
      ],
      [status([table("a", "of a later version")]), "warning", "Table a is of a later version"]
    ] as const
  )("is the worst state of the tables (%#)", (of, tone, text) => {
    assert.deepInclude(headline(of), { tone, text })
    assert.include(headline(of).title, text)
  })
})

describe("the page", () => {
  it("has the first and the last failure of a table, each once, and how old the lag is", () => {
    const first = { message: "refused", at: secondsAgo(120) }
    const last = { message: "reset", at: secondsAgo(10) }
    const retrying = (fields: Partial<Table>) => textOf(status([table("logs", "retrying", fields)]))
    const both = retrying({
      reason: "reset",
      first_error: first,
      last_error: last,
      source_head_read_at: secondsAgo(40)
    })
    assert.include(both, "retrying for 60 s reset First error, 2 min ago : refused ")
    assert.notInclude(both, "Last error")
    assert.include(both, "2 blocks as of 40 s ago")
    const over = retrying({ reason: null, first_error: null, last_error: last })
    assert.include(over, "Last error, 10 s ago : reset")
    assert.notMatch(over, /First error|as of/)
  })

  it("has what waits for confirmations, and nothing of it where none are asked for", () => {
    const held = textOf(status([table("logs", "caught up", { confirmations: 12, held_rows: 1_200 })]))
    assert.include(held, "Rows 5 1,200 held back")
    assert.include(held, "Watermark 10 3 s ago 12 confirmations")
    assert.notMatch(textOf(status([table("logs", "caught up")])), /held|confirmations|provisional/)
  })

  it("names what is not known", () => {
    const unknown = { rows: null, watermark: null, watermark_at: null, lag_blocks: null }
    const text = textOf(status([table("logs", "starting", unknown)]))
    assert.include(text, "Rows unknown")
    assert.include(text, "Watermark none yet")
    assert.include(text, "Lag unknown")
    assert.include(text, "None since the start.")
  })
})

describe("an announcement", () => {
  it("has the states that changed and the tables that are gone, and nothing of figures", () => {
    const before = status([table("a", "catching up"), table("b", "caught up")])
    assert.strictEqual(
      announcement(before, status([table("a", "catching up", { rows: 6 }), table("b", "caught up")])),
      ""
    )
    const after = status([table("a", "parked", { reason: "refused" }), table("c", "starting")], { ready: false })
    assert.strictEqual(
      announcement(before, after),
      "Not ready. Table a is parked: refused. Table c is starting. Table b is no longer synced"
    )
    assert.strictEqual(announcement({ ...before, ready: false }, before), "Ready")
  })
})
