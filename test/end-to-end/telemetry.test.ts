/** What the real program exports to a collector of OpenTelemetry, and that no collector disturbs it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { type Collector, type ReceivedSpan, startCollector } from "../support/collector.ts"
import { eventually } from "../support/eventually.ts"
import { awaitAllRows } from "../support/runningSync.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld, type World } from "../support/world.ts"

const SECRET = "hunter2-of-the-vendor"
const queries = { blocks: "SELECT * FROM anvil.blocks WHERE block_num >= 0" }
/** A signal ends a sync within five seconds; the loopback needs far less. */
const STOP_MILLIS = 4_500

const startWith = (world: World, { url }: Pick<Collector, "url">, environment: Readonly<Record<string, string>> = {}) =>
  startAmpsync({
    ...world.environment,
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_BSP_SCHEDULE_DELAY: "100",
    OTEL_METRIC_EXPORT_INTERVAL: "200",
    RUST_LOG: "debug",
    ...environment
  })

/** Ends it by a signal, and returns how long that took. */
const stop = Effect.fnUntraced(function*(process: AmpsyncProcess) {
  const began = performance.now()
  yield* process.kill("SIGTERM")
  const { code, signal } = yield* process.exited
  assert.deepStrictEqual([code, signal], [0, null], process.output())
  assert.include(process.output(), "Shutdown complete", "it ended by itself")
  return performance.now() - began
})

const named = (collector: Collector, name: string) => collector.spans().filter((span) => span.name === name)

const isNested = (child: ReceivedSpan, parent: ReceivedSpan) =>
  child.traceId === parent.traceId && child.start >= parent.start && child.end <= parent.end && child.start <= child.end

describe("the traces of a process", () => {
  it.live(
    "I7 have each chunk with its stages, each attempt, links over a reorg and a cut stream, and neither a secret nor a row",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 40, maxRangeBlocks: 20, queries })
        const collector = yield* startCollector
        const file = join(yield* temporaryDirectory, "headers")
        yield* Effect.promise(() => writeFile(file, `api-key=${SECRET},x-scope=tables%20of%20one\n`))
        const process = yield* startWith(world, collector, {
          OTEL_EXPORTER_OTLP_HEADERS_FILE: file,
          OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test"
        })
        yield* awaitAllRows(world, "blocks")
        world.simulator.reorg(3, 5)
        yield* eventually(
          "the reorg is exported",
          Effect.sync(() => named(collector, "chunk").some(({ attributes }) => attributes["ampsync.reorgs"] === 1))
        )
        world.simulator.faults.cutAll()
        yield* eventually("the attempt is exported", Effect.sync(() => named(collector, "attempt").length === 1))
        world.simulator.mine(1)
        yield* awaitAllRows(world, "blocks")
        yield* stop(process)

        const [chunks, attempts] = [named(collector, "chunk"), named(collector, "attempt")]
        assert.lengthOf(attempts, 2)
        const [first, second] = attempts as [ReceivedSpan, ReceivedSpan]
        assert.deepInclude(first.attributes, { "ampsync.table": "blocks", "ampsync.outcome": "failed" })
        assert.strictEqual(first.status.code, 2)
        assert.include(process.output(), first.status.message!)
        assert.isUndefined(first.attributes["ampsync.resumed_block"])
        assert.deepInclude(second.attributes, { "ampsync.outcome": "interrupted", "ampsync.network": "anvil" })
        assert.isNumber(second.attributes["ampsync.resumed_block"])
        const linkTo = ({ spanId, traceId }: ReceivedSpan, kind: string) => ({ traceId, spanId, kind })
        assert.deepStrictEqual(second.links, [linkTo(first, "previous")])

        const ofFirst = chunks.filter(({ start }) => start < first.end)
        const [resumed] = chunks.filter(({ start }) => start >= first.end)
        for (const chunk of ofFirst) assert.deepStrictEqual(chunk.links, [linkTo(first, "attempt")])
        assert.deepStrictEqual(resumed!.links, [linkTo(second, "attempt"), linkTo(ofFirst.at(-1)!, "previous")])
        assert.strictEqual(new Set(chunks.map(({ traceId }) => traceId)).size, chunks.length)
        assert.strictEqual(first.attributes["ampsync.chunks"], ofFirst.length)

        assert.deepInclude(ofFirst[0]!.attributes, { "ampsync.first_block": 0, "ampsync.network": "anvil" })
        const rows = chunks.reduce((sum, { attributes }) => sum + Number(attributes["ampsync.rows"]), 0)
        const removed = chunks.reduce((sum, { attributes }) => sum + Number(attributes["ampsync.rows_removed"]), 0)
        assert.strictEqual(rows - removed, world.simulator.chain.countRows("blocks", world.simulator.startBlock))
        const reorg = chunks.find(({ attributes }) => attributes["ampsync.reorgs"] === 1)!
        assert.strictEqual(reorg.attributes["ampsync.rows_removed"], 3)
        for (const chunk of chunks) {
          const stages = collector.spans().filter(({ parentSpanId }) => parentSpanId === chunk.spanId)
          assert.deepStrictEqual(stages.map(({ name }) => name).toSorted(), ["commit", "copy", "encode", "receive"])
          for (const stage of stages) assert.isTrue(isNested(stage, chunk), `${stage.name} is within its chunk`)
          const { attributes, end, start } = chunk
          const spent = ["source_wait_ms", "encode_ms", "storage_wait_ms"].map((name) =>
            Number(attributes[`ampsync.${name}`])
          )
          assert.isAtMost(spent.reduce((sum, time) => sum + time, 0), Number(end - start) / 1e6)
          assert.isAbove(Number(attributes["ampsync.bytes"]), 0)
          assert.strictEqual(chunk.status.code, 1)
        }
        assert.deepStrictEqual(
          [...new Set(collector.spans().map(({ name }) => name))].toSorted(),
          ["attempt", "chunk", "commit", "copy", "encode", "receive"]
        )
        const metrics = collector.metricNames()
        assert.includeMembers([...metrics], [
          "ampsync_table_watermark_block",
          "ampsync_stage_seconds_total",
          "ampsync_ready"
        ])
        assert.deepInclude(collector.lastCounter("ampsync_table_rows_committed_total"), {
          table: "blocks",
          value: rows
        })
        assert.deepInclude(collector.resource(), { "service.name": "ampsync", "deployment.environment.name": "test" })

        for (const { headers } of collector.received) {
          assert.deepInclude(headers, {
            "api-key": SECRET,
            "x-scope": "tables of one",
            "content-type": "application/json"
          })
        }
        const [row] = yield* world.database.query("SELECT encode(hash, 'hex') AS hash FROM blocks LIMIT 1")
        for (const text of [SECRET, "SELECT", "WHERE", String(row!["hash"])]) {
          assert.notInclude(collector.text(), text)
        }
        assert.notInclude(process.output(), SECRET)
      }),
    60_000
  )

  it.live(
    "are encoded as protobuf unless something else is asked for, compressed where it is, and a ratio of 0 exports none",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries })
        const [all, none] = [yield* startCollector, yield* startCollector]
        const unset = { OTEL_EXPORTER_OTLP_PROTOCOL: "", OTEL_METRICS_EXPORTER: "none" }
        const process = yield* startWith(world, all, { ...unset, OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" })
        yield* eventually("a chunk is exported", Effect.sync(() => all.text().includes("chunk")))
        assert.isTrue(all.received.some(({ headers }) => headers["content-encoding"] === "gzip"))
        assert.strictEqual(all.received[0]!.headers["content-type"], "application/x-protobuf")
        assert.deepStrictEqual([...new Set(all.received.map(({ path }) => path))], ["/v1/traces"])
        yield* stop(process)
        const silent = yield* startWith(world, none, {
          ...unset,
          OTEL_TRACES_SAMPLER: "traceidratio",
          OTEL_TRACES_SAMPLER_ARG: "0"
        })
        world.simulator.mine(1)
        yield* awaitAllRows(world, "blocks")
        yield* stop(silent)
        assert.lengthOf(none.received, 0)
      }),
    60_000
  )
})

describe.concurrent("a collector", () => {
  it.live.each(
    [
      ["is down", undefined, /connect ECONNREFUSED/],
      ["never answers", "never", /no answer within 100ms/],
      ["answers 500", 500, /HTTP 500/],
      ["refuses the headers", 401, /HTTP 401; check OTEL_EXPORTER_OTLP_HEADERS/]
    ] as const
  )(
    "that %s is named once in the log, and delays neither rows nor a stop",
    ([_, answer, reason]) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries })
        const collector = yield* startCollector
        if (answer !== undefined) collector.answer(answer)
        const process = yield* startWith(world, answer === undefined ? { url: "http://127.0.0.1:1" } : collector, {
          OTEL_EXPORTER_OTLP_TIMEOUT: "100"
        })
        const failure = new RegExp(
          `Cannot export traces to http://127\\.0\\.0\\.1:\\d+/v1/traces: .*${reason.source}`,
          "g"
        )
        yield* process.prints(failure)
        world.simulator.mine(3)
        yield* awaitAllRows(world, "blocks")
        assert.isBelow(yield* stop(process), STOP_MILLIS)
        assert.lengthOf(process.output().match(failure) ?? [], 1)
      }),
    60_000
  )

  it.live("that does not answer while the process stops is not waited for", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries })
      const collector = yield* startCollector
      collector.answer("never")
      const process = yield* startWith(world, collector)
      yield* eventually(
        "an export of both kinds is under way",
        Effect.sync(() => new Set(collector.received.map(({ path }) => path)).size === 2)
      )
      yield* awaitAllRows(world, "blocks")
      assert.isBelow(yield* stop(process), STOP_MILLIS)
    }), 60_000)
})
