import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import type { StatusEvent } from "../../src/domain/StatusEvent.ts"
import { ConfigError } from "../../src/services/Config.ts"
import { Status } from "../../src/services/HealthApi.ts"
import { committed as committedChunk, connected as connectedTable, reorged } from "../doubles/statusEvents.ts"
import { openEvents } from "../support/eventStream.ts"
import { ask, reasons } from "../support/health.ts"
import { Scrape } from "../support/prometheus.ts"
import { config, QUERY, ready, serving } from "../support/servingHealth.ts"

const connected = connectedTable()
const committed = (fields: Parameters<typeof committedChunk>[0] = {}): StatusEvent =>
  committedChunk({ watermarkAtSeconds: 1_000, ...fields })
const head = (block: bigint, atSeconds: number | undefined): StatusEvent => ({
  _tag: "HeadRead",
  head: { block, atSeconds }
})

describe("liveness", () => {
  it.effect("/livez and /healthz answer with 200 before anything was recorded; /healthz reports that it is not ready", () =>
    Effect.gen(function*() {
      const { address } = yield* serving()
      assert.deepInclude(yield* ask(address, "/livez"), { status: 200, body: { status: "alive" } })
      assert.deepInclude(yield* ask(address, "/healthz"), { status: 200, body: { status: "alive", ready: false } })
    }))

  it.effect("/livez and /healthz answer with 200 while every table is parked", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      assert.deepInclude(yield* ask(address, "/healthz"), { status: 200, body: { status: "alive", ready: true } })
      yield* recorder.parkAll("refused")
      assert.strictEqual((yield* ask(address, "/livez")).status, 200)
      assert.deepInclude(yield* ask(address, "/healthz"), { status: 200, body: { status: "alive", ready: false } })
    }))
})

describe("/readyz", () => {
  it.effect("is not ready before a config is active and each of its tables has reported, and once it is stopped", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* serving()
      assert.deepStrictEqual(yield* reasons(address), ["null: no active config"])
      yield* recorder.activated({ ...config, tables: ["logs", "blocks"] })
      yield* recorder.heartbeat
      assert.deepStrictEqual(yield* reasons(address), ["logs: not started", "blocks: not started"])
      yield* recorder.record("logs", connected)
      assert.deepStrictEqual(yield* reasons(address), ["blocks: not started"])
      yield* recorder.record("blocks", connected)
      assert.deepStrictEqual(yield* reasons(address), [])
      yield* recorder.activated(undefined)
      assert.deepStrictEqual(yield* reasons(address), ["null: no active config"])
    }))

  it.effect("is not ready while a table waits, or fails, before its first stream; a failure after that is none yet", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      const failed: StatusEvent = { _tag: "Failed", attempts: 1, reason: "refused" }
      yield* recorder.record("logs", failed)
      assert.deepStrictEqual(yield* reasons(address), [])
      yield* recorder.record("logs", { _tag: "Started" })
      yield* recorder.record("logs", { _tag: "Waiting", reason: "the server is down" })
      const { body, status } = yield* ask(address, "/readyz")
      assert.strictEqual(status, 503)
      assert.include(body.reasons[0].message, "table 'logs' has not started yet: the server is down")
      yield* recorder.record("logs", failed)
      assert.deepStrictEqual(yield* reasons(address), ["logs: not started"])
      yield* recorder.record("logs", connected)
      assert.deepStrictEqual(yield* reasons(address), [])
    }))

  it.effect.each(
    [
      ["stalled", { _tag: "Failed", attempts: 5, reason: "refused" }],
      ["parked", { _tag: "Parked", reason: "refused" }],
      ["diverged", { _tag: "Diverged", reason: "refused" }],
      ["standby", { _tag: "StandingBy", reason: "refused", isReserve: false }]
    ] as ReadonlyArray<readonly [string, StatusEvent]>
  )(
    "is not ready while a table is %s, with the reason and since when, and ready again after it",
    ([code, event]) =>
      Effect.gen(function*() {
        const { address, recorder } = yield* ready
        yield* TestClock.adjust("2 seconds")
        yield* recorder.record("logs", event)
        const { body, status } = yield* ask(address, "/readyz")
        assert.strictEqual(status, 503)
        assert.lengthOf(body.reasons, 1)
        assert.deepInclude(body.reasons[0], { table: "logs", code, since: "1970-01-01T00:00:02.000Z" })
        assert.include(body.reasons[0].message, ": refused")
        yield* recorder.record("logs", connected)
        yield* recorder.record("logs", { _tag: "CaughtUp" })
        assert.deepStrictEqual(yield* reasons(address), [])
      })
  )

  it.effect("is ready as a standby that is configured, whatever its lag, for as long as it can take over", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      yield* recorder.record("logs", { _tag: "Started" })
      yield* recorder.record("logs", { _tag: "StandingBy", reason: "another is at work", isReserve: true })
      assert.strictEqual((yield* ask(address, "/readyz?max_lag_blocks=1")).status, 200)
      yield* TestClock.adjust("7 seconds")
      assert.deepStrictEqual(yield* reasons(address), ["logs: offline"])
    }))

  it.effect("is not ready when the database has no heartbeat of the last six seconds", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* reasons(address), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* reasons(address), ["logs: offline"])
      yield* recorder.heartbeat
      assert.deepStrictEqual(yield* reasons(address), [])
    }))

  it.effect("is not ready before the first heartbeat", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* serving()
      yield* recorder.activated(config)
      yield* recorder.record("logs", connected)
      assert.deepStrictEqual(yield* reasons(address), ["logs: offline"])
    }))

  it.effect("compares the lag with the limits that are asked for, and with no other", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      yield* recorder.record("logs", committed())
      yield* recorder.record("logs", head(21n, 1_100))
      assert.deepStrictEqual(yield* reasons(address), [])
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=10&max_lag_seconds=100"), [])
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=9"), ["logs: lag exceeded"])
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_seconds=99"), ["logs: lag exceeded"])
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=10&max_lag_seconds=99"), ["logs: lag exceeded"])
      yield* recorder.record("logs", committed({ watermark: 21n, lastBlock: 21n, watermarkAtSeconds: undefined }))
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=0&max_lag_seconds=0"), [])
    }))

  it.effect("is not ready from the moment on that the source ends far below the watermark, whatever limits are asked for", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      yield* recorder.record("logs", committed({ watermark: 40n, lastBlock: 40n }))
      yield* recorder.record("logs", head(38n, 1_000))
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=0"), [])
      yield* TestClock.adjust("2 seconds")
      yield* recorder.record("logs", head(11n, 900))
      assert.deepStrictEqual(yield* reasons(address), ["logs: source behind"])
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=0"), ["logs: source behind"])
      const { body } = yield* ask(address, "/readyz")
      assert.strictEqual(body.reasons[0].since, "1970-01-01T00:00:02.000Z")
      assert.include(body.reasons[0].message, "ends with block 11, and the table is complete up to block 40")
      const { body: status } = yield* ask(address, "/status")
      assert.deepInclude(status.tables[0], { lag_blocks: null, lag_seconds: null, source_head: 11 })
      yield* recorder.record("logs", { _tag: "Diverged", reason: "gone" })
      assert.deepStrictEqual(yield* reasons(address), ["logs: diverged"])
      yield* recorder.record("logs", head(41n, 1_000))
      yield* recorder.record("logs", committed({ watermark: 41n, lastBlock: 41n, isProgress: true }))
      assert.deepStrictEqual(yield* reasons(address), [])
    }))

  it.effect("is not ready where a limit is asked for and the lag is not known, or was known a minute ago", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      yield* recorder.record("logs", committed())
      assert.deepStrictEqual(yield* reasons(address), [])
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=1000000"), ["logs: lag unknown"])
      yield* recorder.record("logs", head(12n, undefined))
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=1"), [])
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_seconds=1000000"), ["logs: lag unknown"])
      yield* TestClock.adjust("61 seconds")
      yield* recorder.heartbeat
      assert.deepStrictEqual(yield* reasons(address), [])
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=1"), ["logs: lag unknown"])
      yield* recorder.record("logs", head(12n, 1_001))
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=1&max_lag_seconds=1"), [])
    }))

  it.effect.each([
    ["?max_lag_blocks=ten", "max_lag_blocks"],
    ["?max_lag_blocks=-1", "max_lag_blocks"],
    ["?max_lag_blocks=", "max_lag_blocks"],
    ["?max_lag_seconds=1.5", "max_lag_seconds"],
    ["?max_lag_seconds=1&max_lag_seconds=2", "max_lag_seconds"],
    ["?max_lag_block=1", "max_lag_block"]
  ])("answers %s with 400 and names the parameter and what is allowed", ([query, parameter]) =>
    Effect.gen(function*() {
      const { address } = yield* ready
      const { body, status } = yield* ask(address, `/readyz${query}`)
      assert.strictEqual(status, 400)
      assert.match(
        body.message,
        new RegExp(
          `^/readyz (has no parameter "${parameter}"|has another value of ${parameter} than it allows)\\. Allowed: `
        )
      )
      assert.include(body.message, "a whole number of at least 0")
    }))
})

describe("/status", () => {
  it.effect("has what was recorded, null for what is not known, and no text of a query", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      const { body: before } = yield* ask(address, "/status")
      assert.deepInclude(before.tables[0], {
        state: "catching up",
        watermark: 9,
        watermark_hash: "0x09",
        watermark_at: null,
        block_at: null,
        block_age_seconds: null,
        rows: 40,
        source_head: null,
        lag_blocks: null,
        last_error: null,
        first_error: null
      })
      assert.deepInclude(before, {
        started_at: "1970-01-01T00:00:00.000Z",
        permits: null,
        reasons: [],
        last_reorgs: []
      })
      yield* recorder.permits({ total: 8, inUse: () => 3 })
      yield* recorder.record(
        "logs",
        committed({
          reorgs: [reorged(9n, 3n)],
          rowsRemoved: 2,
          unverified: true,
          provisionalRows: 3n,
          chunkRows: 15_000,
          stages: { sourceWaitMillis: 1_500, encodeMillis: 250, storageWaitMillis: 0 }
        })
      )
      yield* recorder.record("logs", head(21n, 1_100))
      yield* TestClock.adjust("1 second")
      yield* recorder.record("logs", { _tag: "Failed", attempts: 2, reason: `cannot plan ${QUERY}: no such column` })
      yield* recorder.record("logs", { _tag: "Failed", attempts: 2, reason: `${QUERY} is refused` })
      yield* recorder.reloaded(`cannot plan ${QUERY}: no such column`)
      const { body, text } = yield* ask(address, "/status")
      const answer = Schema.decodeUnknownSync(Status)(body)
      assert.deepInclude(answer.tables[0], {
        table: "logs",
        state: "retrying",
        reason: "(query) is refused",
        since: "1970-01-01T00:00:01.000Z",
        watermark: 11,
        watermark_hash: "0x0b",
        watermark_at: "1970-01-01T00:00:00.000Z",
        block_at: "1970-01-01T00:16:40.000Z",
        block_age_seconds: 0,
        source_head: 21,
        source_head_read_at: "1970-01-01T00:00:00.000Z",
        lag_blocks: 10,
        lag_seconds: 100,
        rows: 43,
        provisional_rows: 3,
        rows_committed: 5,
        bytes_committed: 500,
        rows_per_second: 5,
        bytes_per_second: 500,
        chunk_rows: 15_000,
        stage_seconds: { source: 1.5, encode: 0.25, storage: 0 },
        unverified: true,
        failed_attempts: 2,
        retries: 2,
        first_error: { message: "cannot plan (query): no such column", at: "1970-01-01T00:00:01.000Z" },
        last_error: { message: "(query) is refused", at: "1970-01-01T00:00:01.000Z" },
        reorgs: 1
      })
      assert.deepStrictEqual(answer.permits, { total: 8, in_use: 3 })
      assert.deepStrictEqual(answer.last_reorgs, [
        { table: "logs", first_block: 9, depth: 3, rows_deleted: 2, at: "1970-01-01T00:00:00.000Z" }
      ])
      assert.deepInclude(answer.throughput, { rows_per_second: 5, bytes_per_second: 500 })
      assert.deepStrictEqual(answer.throughput.rows_by_second.slice(-2), [0, 5])
      assert.deepStrictEqual(answer.tables[0]!.bytes_by_second, answer.throughput.bytes_by_second)
      assert.deepInclude(answer.config, { dataset: "_/example@0.1.0", dialect: "amp", fingerprint: "f" })
      assert.deepInclude(answer.last_reload, { outcome: "failed", reason: "cannot plan (query): no such column" })
      assert.notInclude(text, "secret_column")
      assert.notInclude(text, "hunter2")
      yield* recorder.record("logs", { _tag: "Failed", attempts: 5, reason: `cannot plan ${QUERY}` })
      const { body: notReady, text: reasonsText } = yield* ask(address, "/readyz")
      assert.notInclude(reasonsText, "secret_column")
      const { body: stalled } = yield* ask(address, "/status")
      assert.deepInclude(stalled, { ready: false, reasons: notReady.reasons })
    }))
})

describe("/metrics", () => {
  it.effect("is the text format of Prometheus, with what /readyz and /status answer at that moment", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      yield* recorder.record("logs", committed())
      const { headers, text } = yield* Effect.promise(async () => {
        const response = await fetch(`http://${address}/metrics`, { headers: { connection: "close" } })
        return { headers: response.headers, text: await response.text() }
      })
      assert.strictEqual(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
      const scrape = new Scrape(text)
      assert.strictEqual(scrape.value("ampsync_ready"), 1)
      assert.strictEqual(scrape.value("ampsync_table_rows_committed_total", { table: "logs" }), 5)
      assert.notInclude(text, "secret_column")
      yield* recorder.parkAll("refused")
      const parked = new Scrape((yield* ask(address, "/metrics")).text)
      assert.strictEqual(parked.value("ampsync_ready"), 0)
      assert.strictEqual(parked.value("ampsync_table_state", { table: "logs", state: "parked" }), 1)
    }))
})

/** Every value of `key` below `value`. */
const valuesOf = (value: unknown, key: string): ReadonlyArray<unknown> =>
  typeof value !== "object" || value === null
    ? []
    : Object.entries(value).flatMap(([name, part]) => name === key ? [part] : valuesOf(part, key))

describe("/openapi.json", () => {
  it.effect("describes exactly the paths that there are, and every reference in it leads somewhere", () =>
    Effect.gen(function*() {
      const { address } = yield* serving()
      const { body } = yield* ask(address, "/openapi.json")
      assert.match(body.openapi, /^3\.1\./)
      assert.deepStrictEqual(Object.keys(body.paths), [
        "/livez",
        "/healthz",
        "/readyz",
        "/status",
        "/metrics",
        "/",
        "/events"
      ])
      for (const [path, item] of Object.entries<any>(body.paths)) {
        assert.deepStrictEqual(Object.keys(item), ["get"])
        assert.isString(item.get.operationId)
        const { headers, status } = yield* openEvents(address, path)
        const [contentType] = Object.keys(item.get.responses[status].content)
        assert.isTrue(headers["content-type"]!.startsWith(contentType!), `${path}: ${headers["content-type"]}`)
      }
      const { parameters, responses } = body.paths["/readyz"].get
      assert.deepStrictEqual(Object.keys(responses), ["200", "400", "503"])
      assert.deepStrictEqual(parameters.map((one: { name: string; in: string }) => [one.name, one.in]), [
        ["max_lag_blocks", "query"],
        ["max_lag_seconds", "query"]
      ])
      const references = valuesOf(body, "$ref")
      assert.isAtLeast(references.length, 6)
      for (const reference of references) {
        const found = String(reference).split("/").slice(1).reduce((part, key) => part?.[key], body)
        assert.isDefined(found, String(reference))
      }
      assert.strictEqual((yield* ask(address, "/metric")).status, 404)
    }))
})

describe("the server", () => {
  it.effect("is off unless HEALTH_PORT is set", () =>
    Effect.gen(function*() {
      assert.isUndefined((yield* serving({ HEALTH_PORT: undefined })).address)
    }))

  it.effect("is logged with an address that can be opened, also where it listens on all of them", () =>
    Effect.gen(function*() {
      const { address } = yield* serving({ HEALTH_HOST: undefined })
      assert.match(address, /^127\.0\.0\.1:\d+$/)
      assert.strictEqual((yield* ask(address, "/livez")).status, 200)
    }))

  it.effect("names HEALTH_PORT where the port is in use, and HEALTH_HOST where the address is none of this machine", () =>
    Effect.gen(function*() {
      const other = yield* Effect.acquireRelease(
        Effect.promise(() => {
          const server = createServer()
          return new Promise<typeof server>((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = other.address() as AddressInfo
      const taken = yield* Effect.flip(serving({ HEALTH_PORT: port }))
      assert.instanceOf(taken, ConfigError)
      assert.include(taken.message, `HEALTH_PORT is ${port}, and this process cannot listen there`)
      assert.include(taken.message, "EADDRINUSE")
      const foreign = yield* Effect.flip(serving({ HEALTH_HOST: "192.0.2.1" }))
      assert.include(foreign.message, `HEALTH_HOST is "192.0.2.1"`)
    }))

  it.live("stops at once although clients keep connections open, in the middle of a request as well", () =>
    Effect.gen(function*() {
      const { since, sockets } = yield* Effect.scoped(Effect.gen(function*() {
        const { address } = yield* serving()
        const [host, port] = address.split(":")
        const open = (text: string) =>
          Effect.promise(() =>
            // In an object: a promise that resolves with a promise would wait for it.
            new Promise<{ readonly closed: Promise<void> }>((resolve) => {
              const socket = connect(Number(port), host!, () => {
                const closed = new Promise<void>((done) => socket.on("error", () => {}).on("close", () => done()))
                socket.write(text, () => resolve({ closed }))
                socket.resume()
              })
            })
          )
        const idle = yield* open("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        const half = yield* open("GET /livez HTTP/1.1\r\nhost")
        yield* ask(address, "/livez")
        return { sockets: [idle.closed, half.closed], since: performance.now() }
      }))
      yield* Effect.promise(() => Promise.all(sockets))
      assert.isBelow(performance.now() - since, 3_000)
    }))
})
