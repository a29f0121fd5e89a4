import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Layer, Metric, Scope } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { TestClock } from "effect/testing"
import type { HistogramDefinition } from "../../../src/domain/metrics/Metric.ts"
import { metricSections } from "../../../src/domain/metrics/metricSections.ts"
import { phases } from "../../../src/domain/TablePhase.ts"
import { VERSION } from "../../../src/domain/version.ts"
import { layer } from "../../../src/layers/SyncStatus.ts"
import { StatusRecorder } from "../../../src/services/SyncStatus.ts"
import { committed, connected, reorged } from "../../doubles/statusEvents.ts"
import { Scrape } from "../../support/prometheus.ts"

const config = {
  dataset: "_/example@0.1.0",
  version: "0.1.0",
  dialect: "amp",
  sources: undefined,
  fingerprint: "f",
  tables: ["logs"],
  queries: []
} as const

/** A sync of a program whose metric registry is its own; `close` ends it. */
const makeSync = Effect.fnUntraced(function*(
  registry: Metric.MetricRegistry = new Map(),
  attributes: Readonly<Record<string, string>> = {}
) {
  const scope = yield* Scope.make()
  const program = Context.make(Metric.MetricRegistry, registry).pipe(
    Context.add(Metric.CurrentMetricAttributes, attributes),
    Context.add(Clock.Clock, yield* Clock.Clock)
  )
  const services = yield* Layer.buildWithScope(layer, scope).pipe(Effect.provideContext(program))
  const text = () => PrometheusMetrics.formatUnsafe(program)
  return {
    recorder: Context.get(services, StatusRecorder),
    text,
    scrape: () => new Scrape(text()),
    close: Scope.close(scope, Exit.void)
  }
})

const head = (block: bigint, atSeconds: number | undefined) =>
  ({ _tag: "HeadRead", head: { block, atSeconds } }) as const

describe("the metrics of a sync", () => {
  it.effect("have a value where one is known, and no series where none is: an unknown lag is not 0", () =>
    Effect.gen(function*() {
      const { recorder, scrape } = yield* makeSync()
      const logs = { table: "logs" }
      yield* recorder.begin(["logs"])
      const unknown = [
        "ampsync_table_watermark_block",
        "ampsync_table_lag_blocks",
        "ampsync_table_lag_seconds",
        "ampsync_table_source_head_block",
        "ampsync_table_rows"
      ]
      assert.deepStrictEqual(unknown.filter((name) => scrape().value(name, logs) !== undefined), [])
      yield* recorder.record("logs", connected({ rows: 40n, provisionalRows: 4n }))
      assert.strictEqual(scrape().value("ampsync_table_rows", logs), 40)
      assert.strictEqual(scrape().value("ampsync_table_rows_provisional", logs), 4)
      yield* recorder.record("logs", head(20n, undefined))
      assert.strictEqual(scrape().value("ampsync_table_lag_blocks", logs), 11)
      assert.isUndefined(scrape().value("ampsync_table_lag_seconds", logs))
      yield* recorder.record("logs", committed({ watermarkAtSeconds: 1_000 }))
      yield* recorder.record("logs", head(20n, 1_090))
      assert.strictEqual(scrape().value("ampsync_table_lag_seconds", logs), 90)
      // The table was dropped and is filled again: what was known of its watermark no longer is.
      yield* recorder.record("logs", connected({ rows: 0n, watermark: undefined, watermarkHash: undefined }))
      assert.isUndefined(scrape().value("ampsync_table_watermark_block", logs))
      assert.isUndefined(scrape().value("ampsync_table_lag_seconds", logs))
      assert.strictEqual(scrape().value("ampsync_table_lag_blocks", logs), 21)
    }))

  it.effect("count what was committed, retries, reorgs, reloads and the time of the stages", () =>
    Effect.gen(function*() {
      const { recorder, scrape } = yield* makeSync()
      const stages = { sourceWaitMillis: 1_500, encodeMillis: 250, storageWaitMillis: 500 }
      yield* recorder.record("logs", committed({ stages }))
      yield* recorder.record("logs", committed({ stages, rowsAdded: 7, bytes: 70, blocks: 1n }))
      yield* recorder.record("logs", { _tag: "Failed", attempts: 1, reason: "down", chunkRows: 7_000 })
      yield* recorder.reloaded(undefined)
      yield* recorder.reloaded("no")
      yield* recorder.reloaded("no")
      const now = scrape()
      const valueOf = (name: string) => now.value(name, { table: "logs" })
      assert.strictEqual(valueOf("ampsync_table_rows_committed_total"), 12)
      assert.strictEqual(valueOf("ampsync_table_bytes_committed_total"), 570)
      assert.strictEqual(valueOf("ampsync_table_blocks_committed_total"), 3)
      assert.strictEqual(valueOf("ampsync_table_retries_total"), 1)
      assert.strictEqual(valueOf("ampsync_table_failed_attempts"), 1)
      assert.strictEqual(valueOf("ampsync_table_chunk_rows_target"), 7_000)
      assert.deepStrictEqual(
        ["source", "encode", "storage"].map((stage) =>
          now.value("ampsync_stage_seconds_total", { table: "logs", stage })
        ),
        [3, 0.5, 1]
      )
      assert.deepStrictEqual(
        ["applied", "failed"].map((outcome) => now.value("ampsync_reloads_total", { outcome })),
        [1, 2]
      )
    }))

  it.effect("are 1 for one state of a table, and 0 for every other", () =>
    Effect.gen(function*() {
      const { recorder, scrape } = yield* makeSync()
      yield* recorder.record("logs", { _tag: "Failed", attempts: 5, reason: "down" })
      const states = scrape().with("ampsync_table_state", { table: "logs" })
      assert.lengthOf(states, phases.length)
      assert.deepStrictEqual(states.filter(({ value }) => value !== 0).map(({ labels }) => labels["state"]), [
        "stalled"
      ])
    }))

  it.effect("have histograms that are cumulative, with a bucket without bound, and that exist before they are needed", () =>
    Effect.gen(function*() {
      const { recorder, scrape } = yield* makeSync()
      yield* recorder.begin(["logs", "blocks"])
      assert.strictEqual(scrape().value("ampsync_table_reorg_depth_blocks_count", { table: "logs" }), 0)
      yield* recorder.record("logs", committed({ elapsedMillis: 20 }))
      yield* recorder.record("logs", committed({ elapsedMillis: 700 }))
      const reorgs = [reorged(1n, 3n), reorged(1n, 5_000n)]
      yield* recorder.record("logs", committed({ elapsedMillis: 60_000, reorgs }))
      const now = scrape()
      const buckets = (name: string, table: string) =>
        now.with(`${name}_bucket`, { table }).map(({ labels, value }) => [labels["le"], value])
      assert.deepStrictEqual(buckets("ampsync_table_commit_seconds", "logs"), [
        ["0.005", 0],
        ["0.01", 0],
        ["0.025", 1],
        ["0.05", 1],
        ["0.1", 1],
        ["0.25", 1],
        ["0.5", 1],
        ["1", 2],
        ["2.5", 2],
        ["5", 2],
        ["10", 2],
        ["30", 2],
        ["+Inf", 3]
      ])
      assert.strictEqual(now.value("ampsync_table_commit_seconds_count", { table: "logs" }), 3)
      assert.closeTo(now.value("ampsync_table_commit_seconds_sum", { table: "logs" })!, 60.72, 1e-9)
      assert.strictEqual(now.value("ampsync_table_reorg_depth_blocks_sum", { table: "logs" }), 5_003)
      assert.strictEqual(now.value("ampsync_table_commit_seconds_count", { table: "blocks" }), 0)
    }))

  it.effect("of a table that left the config end, and begin at 0 where it comes back", () =>
    Effect.gen(function*() {
      const { recorder, text, scrape } = yield* makeSync()
      yield* recorder.record("logs", committed())
      yield* recorder.record("blocks", committed())
      yield* recorder.remove("logs")
      assert.notInclude(text(), `"logs"`)
      assert.strictEqual(scrape().value("ampsync_table_rows_committed_total", { table: "blocks" }), 5)
      yield* recorder.record("logs", { _tag: "Started" })
      assert.strictEqual(scrape().value("ampsync_table_rows_committed_total", { table: "logs" }), 0)
      assert.strictEqual(scrape().value("ampsync_table_commit_seconds_count", { table: "logs" }), 0)
      yield* recorder.begin(["other"])
      assert.notInclude(text(), `"logs"`)
      assert.notInclude(text(), `"blocks"`)
    }))

  it.effect("have the readiness, the permits and the heartbeat of the moment they are read", () =>
    Effect.gen(function*() {
      const { recorder, scrape } = yield* makeSync()
      assert.strictEqual(scrape().value("ampsync_ready"), 0)
      assert.strictEqual(scrape().value("ampsync_build_info", { version: VERSION }), 1)
      assert.isUndefined(scrape().value("ampsync_heartbeat_timestamp_seconds"))
      assert.isUndefined(scrape().value("ampsync_permits"))
      let inUse = 0
      yield* recorder.permits({ total: 8, inUse: () => inUse })
      yield* TestClock.adjust("3 seconds")
      yield* recorder.activated(config)
      yield* recorder.record("logs", connected())
      yield* recorder.heartbeat
      inUse = 3
      assert.strictEqual(scrape().value("ampsync_permits"), 8)
      assert.strictEqual(scrape().value("ampsync_permits_in_use"), 3)
      assert.strictEqual(scrape().value("ampsync_heartbeat_timestamp_seconds"), 3)
      assert.strictEqual(scrape().value("ampsync_ready"), 1)
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(scrape().value("ampsync_ready"), 0)
    }))

  it.effect("have HELP and TYPE of each family once, and table names of any characters", () =>
    Effect.gen(function*() {
      const { recorder, scrape, text } = yield* makeSync()
      const names = [`a"b`, `back\\slash`, "two\nlines", `x",state="stalled`, "größe", "__proto__"]
      for (const name of names) yield* recorder.record(name, committed())
      const lines = text().split("\n")
      for (const kind of ["HELP", "TYPE"]) {
        const families = lines.filter((line) => line.startsWith(`# ${kind} `)).map((line) => line.split(" ")[2])
        assert.strictEqual(new Set(families).size, families.length)
        assert.strictEqual(families.length, scrape().types.size)
      }
      const found = scrape().with("ampsync_table_rows_committed_total").map(({ labels }) => labels["table"])
      assert.sameMembers(found, names)
      assert.notInclude(text(), "NaN")
    }))
})

describe("the metrics of a sync in the program of a host", () => {
  it.effect("are in its registry beside its own, which stay, and leave with the sync", () =>
    Effect.gen(function*() {
      const registry: Metric.MetricRegistry = new Map()
      const own = Context.make(Metric.MetricRegistry, registry)
      Metric.counter("requests_total").updateUnsafe(1, own)
      const { close, recorder, text } = yield* makeSync(registry)
      yield* recorder.record("logs", committed())
      assert.include(text(), "requests_total 1")
      assert.include(text(), "ampsync_table_rows_committed_total")
      assert.notInclude(text(), "process_")
      assert.notInclude(text(), "nodejs_")
      yield* close
      assert.deepStrictEqual([...registry.values()].map(({ id }) => id), ["requests_total"])
    }))

  it.effect("of two syncs are apart where the host gives each an attribute", () =>
    Effect.gen(function*() {
      const registry: Metric.MetricRegistry = new Map()
      const first = yield* makeSync(registry, { sync: "a" })
      const second = yield* makeSync(registry, { sync: "b" })
      yield* first.recorder.record("logs", committed({ rowsAdded: 1 }))
      yield* second.recorder.record("logs", committed({ rowsAdded: 2 }))
      const rows = (sync: string) => first.scrape().value("ampsync_table_rows_committed_total", { table: "logs", sync })
      assert.deepStrictEqual([rows("a"), rows("b")], [1, 2])
      yield* first.close
      assert.deepStrictEqual([rows("a"), rows("b")], [undefined, 2])
    }))
})

describe("the list of metrics", () => {
  const all = Object.values(metricSections).flat()

  it("has each name once, with a prefix, and with the suffix of its type and unit", () => {
    assert.strictEqual(new Set(all.map(({ name }) => name)).size, all.length)
    for (const { labels, name, type, unit } of all) {
      assert.match(name, /^(?:ampsync|process|nodejs)_[a-z0-9_]+$/)
      assert.strictEqual(name.endsWith("_total"), type === "counter", name)
      if (unit === "seconds" || unit === "bytes") assert.match(name, new RegExp(`_${unit}(?:_committed)?(?:_total)?$`))
      if (name.startsWith("ampsync_table_")) assert.strictEqual(labels[0], "table")
    }
  })

  it("has boundaries of buckets that grow", () => {
    for (const metric of all.filter((one): one is HistogramDefinition => one.type === "histogram")) {
      assert.deepStrictEqual(metric.boundaries.toSorted((a, b) => a - b), [...metric.boundaries])
    }
  })
})
