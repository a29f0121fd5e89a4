/** When the check of a change is repeated, and when it is given up, over hours of the test clock. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Result, Stream, SubscriptionRef } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import type { FlightData } from "../../../src/domain/flight/FlightData.ts"
import { type Manifest } from "../../../src/domain/manifest/Manifest.ts"
import type { SettingValues } from "../../../src/layers/Config.ts"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import type { ActiveConfig } from "../../../src/programs/reload/ActiveConfig.ts"
import { reloadOnChange } from "../../../src/programs/reload/reloadOnChange.ts"
import { resolveConfig } from "../../../src/programs/reload/resolveConfig.ts"
import { AdminApi, AdminApiError, type DatasetInfo } from "../../../src/services/AdminApi.ts"
import { FlightError } from "../../../src/services/FlightClient.ts"
import { type LoadError, ManifestError, ManifestSource } from "../../../src/services/ManifestSource.ts"
import { SyncStatus } from "../../../src/services/SyncStatus.ts"
import { TableIndexes } from "../../../src/services/TableIndexes.ts"
import { TableRejected } from "../../../src/services/TableLeases.ts"
import { TableSink } from "../../../src/services/TableSink.ts"
import { activeConfigOf } from "../../doubles/activeConfig.ts"
import { tableLeases } from "../../doubles/bookkeeping.ts"
import { flightClient } from "../../doubles/FlightClient.ts"
import { recordedLog } from "../../doubles/Log.ts"
import { recordedHead } from "../../doubles/SourceHead.ts"
import { exampleManifest } from "../../support/exampleManifest.ts"
import { schemaFrame } from "../../support/frames.ts"
import { testSettings } from "../../support/testSettings.ts"
import { unreachableDatabase } from "../../support/unreachableDatabase.ts"

const manifestOf = (...tables: ReadonlyArray<string>) =>
  exampleManifest({
    network: "anvil",
    tables: Object.fromEntries(tables.map((name) => [name, { sql: `SELECT block_num FROM anvil.${name}` }]))
  })
const one = manifestOf("a")
const info: DatasetInfo = { dialect: "amp", namespace: "_", name: "example", version: "0.1.0", tables: [] }
const down = new AdminApiError({
  operation: "dataset",
  dataset: "_/example",
  reason: "Unavailable",
  status: 503,
  code: undefined,
  detail: "injected",
  retryable: true
})
const unauthorized = new AdminApiError({ ...down, reason: "Unauthorized", status: 401, retryable: false })
const noFlight = new FlightError({
  operation: "GetFlightInfo",
  status: "UNAVAILABLE",
  detail: "injected",
  retryable: true
})
const notStreamable = new FlightError({
  operation: "DoGet",
  status: "INVALID_ARGUMENT",
  detail: "non-incremental",
  retryable: false
})
const noDatabase = new SqlError.SqlError({
  reason: new SqlError.ConnectionError({ message: "injected", operation: "connect", cause: "injected" })
})
const rejected = (table: string) => new TableRejected({ table, reason: `no room for ${table}` })

interface Script {
  readonly settings?: SettingValues
  /** What the Admin API answers for the dataset of the config, by how often it was asked before. */
  readonly dataset?: (asked: number) => Effect.Effect<DatasetInfo, AdminApiError>
  /** The version of every other dataset. */
  readonly version?: () => string
  readonly describe?: (sql: string, asked: number) => Effect.Effect<void, FlightError>
  /** The first messages of a stream. */
  readonly stream?: Stream.Stream<FlightData, FlightError>
  readonly plan?: (table: string, asked: number) => Effect.Effect<void, SqlError.SqlError | TableRejected>
  /** Time until the fibers that must end have ended. */
  readonly applying?: Effect.Effect<void>
  /** The result of loading the config again. */
  readonly load?: Effect.Effect<Manifest, LoadError>
  /** Activates the first manifest. */
  readonly begin?: (manifest: Manifest) => Effect.Effect<ActiveConfig, AdminApiError>
}

/** A manifest at the versions that the Admin API has at first. */
const resolved = (manifest: Manifest) =>
  Effect.orDie(Effect.provide(
    resolveConfig(manifest),
    Layer.mock(AdminApi, { dataset: ({ name }) => Effect.succeed({ ...info, name }) })
  ))

/** Lets the fibers of the reload run until they wait. */
const settled = Effect.repeat(Effect.yieldNow, { times: 100 })

/** Reloads with doubles of every service: the active config, the number of calls, and the log. */
const reloading = Effect.fnUntraced(function*(script: Script) {
  const { layer: logging, lines } = recordedLog()
  const asked = { admin: 0, flight: 0, database: 0 }
  const askedAt: Array<number> = []
  const opened: Array<string> = []
  const changes = yield* Queue.unbounded<Result.Result<Manifest, LoadError>>()
  const active = yield* SubscriptionRef.make<ActiveConfig | undefined>(undefined)
  const services = yield* Layer.build(Layer.mergeAll(
    Layer.mock(AdminApi, {
      dataset: (reference) =>
        reference.name !== info.name ?
          Effect.sync(() => ({ ...info, name: reference.name, version: script.version?.() ?? info.version })) :
          Effect.clockWith((clock) =>
            Effect.suspend(() => {
              askedAt.push(clock.currentTimeMillisUnsafe())
              return script.dataset?.(asked.admin++) ?? Effect.succeed(info)
            })
          )
    }),
    flightClient({
      describe: (sql) => script.describe?.(sql, asked.flight++) ?? Effect.void,
      open: ({ sql }) =>
        Effect.sync(() => {
          opened.push(sql)
          return script.stream ?? Stream.succeed(schemaFrame)
        })
    }),
    Layer.mock(TableSink, {
      plan: ({ table }) =>
        Effect.suspend(() =>
          Effect.as(script.plan?.(table, asked.database++) ?? Effect.void, {
            table,
            kind: "none" as const,
            startsAtFirstBlock: false,
            statements: [],
            indexed: [],
            notes: []
          })
        )
    }),
    tableLeases(),
    Layer.mock(TableIndexes, {}),
    recordedHead().layer,
    Layer.succeed(ManifestSource, {
      load: script.load ?? Effect.die("the config is not loaded again"),
      changes: Stream.fromQueue(changes)
    }),
    statusLayer,
    testSettings(unreachableDatabase, script.settings)
  ))
  const tables = {
    active,
    apply: (next: ActiveConfig) =>
      Effect.as(Effect.andThen(script.applying ?? Effect.void, SubscriptionRef.set(active, next)), {
        unchanged: 1,
        changed: 0,
        started: 0,
        removed: 0,
        retried: 0
      })
  }
  const begin = script.begin ?? ((manifest: Manifest) => Effect.provideContext(resolved(manifest), services))
  const fiber = yield* Effect.forkScoped(
    reloadOnChange(tables, one, begin).pipe(
      Effect.provideContext(services),
      Effect.provide(logging)
    )
  )
  yield* settled
  yield* TestClock.adjust("1 second")
  yield* settled
  const status = yield* Effect.provideContext(SyncStatus, services)
  return {
    asked,
    /** Milliseconds. */
    askedAt,
    /** The queries of which a stream was opened. */
    opened,
    lines,
    reload: status.reload,
    tables: Effect.map(SubscriptionRef.get(active), (config) => config?.manifest.tables.map(({ name }) => name).join()),
    dialect: Effect.map(SubscriptionRef.get(active), (config) => config?.dialect),
    version: Effect.map(SubscriptionRef.get(active), (config) => config?.info?.version),
    change: (change: Manifest | ManifestError) =>
      Effect.andThen(
        Queue.offer(changes, change instanceof ManifestError ? Result.fail(change) : Result.succeed(change)),
        Effect.andThen(settled, Effect.andThen(TestClock.adjust("10 millis"), settled))
      ),
    ended: Effect.sync(() => fiber.pollUnsafe() !== undefined),
    stop: Fiber.interrupt(fiber)
  }
})

describe("the check of a changed config", () => {
  it.effect("is made once where only another config can help, and reports every problem", () =>
    Effect.gen(function*() {
      const it = yield* reloading({
        plan: (table) => table === "b" ? Effect.fail(noDatabase) : Effect.fail(rejected(table))
      })
      yield* it.change(manifestOf("a", "b", "c", "d"))
      yield* TestClock.adjust("3 hours")
      assert.strictEqual(it.asked.database, 3)
      const reason = (yield* it.reload)!.reason!
      for (const table of ["c", "d"]) assert.include(reason, `no room for ${table}`)
      assert.include(reason, "table \"b\": ")
      assert.include(it.lines, "Keeping previous configuration active")
      assert.strictEqual(yield* it.tables, "a")
    }))

  for (
    const [who, script] of [
      ["an Admin API", { dataset: (asked) => asked < 6 ? Effect.fail(down) : Effect.succeed(info) }],
      ["a Flight server", { describe: (_, asked) => asked < 6 ? Effect.fail(noFlight) : Effect.void }],
      ["a database", { plan: (_, asked) => asked < 6 ? Effect.fail(noDatabase) : Effect.void }]
    ] satisfies ReadonlyArray<readonly [string, Script]>
  ) {
    it.effect(`is made again until it succeeds where ${who} is down, which is logged once`, () =>
      Effect.gen(function*() {
        const it = yield* reloading(script)
        yield* it.change(manifestOf("a", "b"))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* it.tables, "a")
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(yield* it.tables, "a,b")
        assert.lengthOf(it.lines.filter((line) => line.startsWith("Failed to reload manifest")), 1)
      }))
  }

  it.effect("rejects a query that cannot be streamed, and accepts one whose stream has sent nothing yet", () =>
    Effect.gen(function*() {
      const bad = yield* reloading({ stream: Stream.fail(notStreamable) })
      yield* bad.change(manifestOf("a", "b"))
      assert.include((yield* bad.reload)?.reason, "table \"b\": DoGet failed with INVALID_ARGUMENT: non-incremental")
      const silent = yield* reloading({ stream: Stream.never })
      yield* silent.change(manifestOf("a", "b"))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* silent.tables, "a")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* silent.tables, "a,b")
    }))

  it.effect("times out where no answer comes, and is made again", () =>
    Effect.gen(function*() {
      const it = yield* reloading({ describe: (_, asked) => asked === 0 ? Effect.never : Effect.void })
      yield* it.change(manifestOf("a", "b"))
      yield* TestClock.adjust("44 seconds")
      assert.isUndefined(yield* it.reload)
      yield* TestClock.adjust("3 seconds")
      assert.match(
        it.lines.find((line) => line.startsWith("Failed to reload")) ?? "",
        /: table "b": no answer within 45s from Arrow Flight at http:\S+ \(AMP_FLIGHT_ADDR\)$/
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* it.tables, "a,b")
    }))

  it.effect("is complete however many tables are silent, and opens one stream of each", () =>
    Effect.gen(function*() {
      const it = yield* reloading({ stream: Stream.never })
      const names = ["a", ...Array.from({ length: 300 }, (_, at) => `quiet_${at}`)]
      yield* it.change(manifestOf(...names))
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual(yield* it.tables, names.join())
      assert.lengthOf(it.opened, 300)
      assert.lengthOf(new Set(it.opened), 300)
    }))

  it.effect("does not end later where a server answers nothing about many tables", () =>
    Effect.gen(function*() {
      const it = yield* reloading({ describe: () => Effect.never })
      yield* it.change(manifestOf("a", ...Array.from({ length: 300 }, (_, at) => `more_${at}`)))
      yield* TestClock.adjust("46 seconds")
      assert.include((yield* it.reload)?.reason, "table \"more_0\": no answer within 45s")
      assert.isAtMost(it.asked.flight, 32, "this attempt and the next one")
      assert.strictEqual(yield* it.tables, "a")
    }))

  it.effect("asks nothing again about a table that is good", () =>
    Effect.gen(function*() {
      let isDown = true
      const it = yield* reloading({
        stream: Stream.never,
        describe: (sql) => sql.includes(".d") && isDown ? Effect.fail(noFlight) : Effect.void
      })
      yield* it.change(manifestOf("a", "b", "c", "d"))
      yield* TestClock.adjust("20 minutes")
      assert.lengthOf(it.opened, 2)
      isDown = false
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* it.tables, "a,b,c,d")
      assert.lengthOf(it.opened, 3)
    }))

  it.effect("asks again about a table that is good where it reads another version by then", () =>
    Effect.gen(function*() {
      let version = info.version
      const it = yield* reloading({
        version: () => version,
        describe: (sql) => sql.includes(".c") && version === info.version ? Effect.fail(noFlight) : Effect.void
      })
      yield* it.change(manifestOf("a", "b", "c"))
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(it.opened.map((sql) => /\.([a-z])\b/.exec(sql)?.[1]), ["b"])
      version = "0.2.0"
      yield* TestClock.adjust("1 minute")
      assert.sameMembers(it.opened.map((sql) => /\.([a-z])\b/.exec(sql)?.[1] ?? sql), ["b", "a", "b", "c"])
      assert.strictEqual(yield* it.tables, "a,b,c")
    }))

  it.effect("that is made again and again is logged every ten minutes, and the status has the newest reason", () =>
    Effect.gen(function*() {
      let cause = noFlight
      const it = yield* reloading({ describe: () => Effect.suspend(() => Effect.fail(cause)) })
      yield* it.change(manifestOf("a", "b"))
      yield* TestClock.adjust("1 minute")
      cause = new FlightError({ ...noFlight, status: "INTERNAL", detail: "no field named c" })
      yield* TestClock.adjust("1 minute")
      const { failed, reason } = (yield* it.reload)!
      assert.strictEqual(failed, 1)
      assert.include(reason, "no field named c")
      yield* TestClock.adjust("30 minutes")
      const lines = it.lines.filter((line) => line.startsWith("Failed to reload manifest: "))
      assert.deepStrictEqual(lines.map((line) => line.includes("no field named c")), [false, true, true, true])
      assert.strictEqual((yield* it.reload)?.failed, 1)
    }))

  it.effect("is given up for a newer config", () =>
    Effect.gen(function*() {
      const it = yield* reloading({ describe: (_, asked) => asked < 1 ? Effect.never : Effect.void })
      yield* it.change(manifestOf("a", "b"))
      yield* TestClock.adjust("10 seconds")
      yield* it.change(manifestOf("a", "c"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* it.tables, "a,c", it.lines.join("\n"))
    }))

  it.effect("is made of the newest of all configs that came while another was put into force", () =>
    Effect.gen(function*() {
      const it = yield* reloading({ applying: Effect.sleep("4 seconds") })
      yield* TestClock.adjust("5 seconds")
      yield* it.change(manifestOf("a", "b"))
      yield* TestClock.adjust("1 second")
      for (const name of ["c", "d", "e"]) yield* it.change(manifestOf("a", name))
      for (let seconds = 0; seconds < 10; seconds++) yield* Effect.andThen(TestClock.adjust("1 second"), settled)
      assert.strictEqual(yield* it.tables, "a,e")
      assert.strictEqual((yield* it.reload)?.applied, 2)
    }))
})

describe("the first config", () => {
  it.effect("gives way to the next one while it waits for its server", () =>
    Effect.gen(function*() {
      const it = yield* reloading({
        begin: (manifest) => manifest === one ? Effect.never : Effect.succeed(activeConfigOf(manifest, info))
      })
      assert.isUndefined(yield* it.tables)
      yield* it.change(manifestOf("b"))
      assert.strictEqual(yield* it.tables, "b")
    }))

  it.effect("that is rejected is waited for to change, like any other", () =>
    Effect.gen(function*() {
      const it = yield* reloading({
        begin: (manifest) =>
          manifest === one ? Effect.fail(unauthorized) : Effect.succeed(activeConfigOf(manifest, info))
      })
      yield* it.change(
        new ManifestError({ operation: "read", path: "/c", file: undefined, line: undefined, problems: ["gone"] })
      )
      assert.isFalse(yield* it.ended)
      yield* it.change(manifestOf("b"))
      assert.strictEqual(yield* it.tables, "b")
    }))
})

describe("the poll for a new version", () => {
  const settings = { VERSION_POLL_INTERVAL_SECS: 60 }

  it.effect("asks once per interval, also while the server is down", () =>
    Effect.gen(function*() {
      const it = yield* reloading({
        settings,
        dataset: (asked) => asked % 2 === 0 ? Effect.fail(down) : Effect.succeed(info)
      })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(it.askedAt.length, 10)
      for (const [i, at] of it.askedAt.entries()) assert.strictEqual(at, (i + 1) * 60_000)
      assert.isUndefined(yield* it.reload)
    }))

  it.effect("takes what a server of the other dialect calls the tables", () =>
    Effect.gen(function*() {
      const it = yield* reloading({
        settings,
        dataset: () => Effect.succeed({ ...info, dialect: "nozzle" }),
        load: Effect.succeed(manifestOf("b"))
      })
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* it.dialect, "nozzle")
      assert.strictEqual(yield* it.tables, "b")
    }))

  it.effect("loses no change of the config that comes in the same moment", () =>
    Effect.gen(function*() {
      const newer = { ...info, version: "0.2.0" }
      const it = yield* reloading({ settings, dataset: () => Effect.succeed(newer) })
      yield* TestClock.adjust("58990 millis")
      yield* it.change(manifestOf("a", "b"))
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* it.tables, "a,b")
    }))

  it.effect("takes nothing from an edit that is still being checked when a version is published", () =>
    Effect.gen(function*() {
      let isDown = true
      const it = yield* reloading({
        settings,
        dataset: () => Effect.succeed({ ...info, version: "0.2.0" }),
        describe: () => isDown ? Effect.fail(noFlight) : Effect.void
      })
      yield* it.change(manifestOf("a", "b"))
      for (let minutes = 0; minutes < 3; minutes++) yield* Effect.andThen(TestClock.adjust("1 minute"), settled)
      assert.include(it.lines, "Version 0.2.0 of dataset _/example is published, initiating hot-reload...")
      assert.strictEqual(yield* it.tables, "a")
      isDown = false
      yield* Effect.andThen(TestClock.adjust("1 minute"), settled)
      assert.strictEqual(yield* it.tables, "a,b")
    }))

  it.effect("takes a version also while an edit waits for a server that reports its error as one that may pass", () =>
    Effect.gen(function*() {
      const unknownColumn = new FlightError({ ...noFlight, status: "INTERNAL", detail: "no field named c" })
      const it = yield* reloading({
        settings,
        dataset: () => Effect.succeed({ ...info, version: "0.2.0" }),
        describe: (sql) => sql.includes(".b") ? Effect.fail(unknownColumn) : Effect.void
      })
      yield* it.change(manifestOf("a", "b"))
      for (let minutes = 0; minutes < 3; minutes++) yield* Effect.andThen(TestClock.adjust("1 minute"), settled)
      assert.deepStrictEqual([yield* it.tables, yield* it.version], ["a", "0.2.0"])
      assert.include((yield* it.reload)?.reason, "no field named c")
    }))

  it.effect("takes a version that was published while an edit was checked, also where the edit is rejected", () =>
    Effect.gen(function*() {
      let isDown = true
      const it = yield* reloading({
        settings,
        dataset: () => Effect.succeed({ ...info, version: "0.2.0" }),
        plan: (table) => table === "a" ? Effect.void : isDown ? Effect.fail(noDatabase) : Effect.fail(rejected(table))
      })
      yield* it.change(manifestOf("a", "b"))
      for (let minutes = 0; minutes < 3; minutes++) yield* Effect.andThen(TestClock.adjust("1 minute"), settled)
      isDown = false
      yield* Effect.andThen(TestClock.adjust("1 minute"), settled)
      assert.deepStrictEqual([yield* it.tables, yield* it.version], ["a", "0.2.0"])
      assert.include((yield* it.reload)?.reason ?? it.lines.join("\n"), "no room for b")
    }))
})

describe("an Admin API that answers again", () => {
  it.effect("does not undo an edit that is being activated meanwhile", () =>
    Effect.gen(function*() {
      let isDown = true
      const it = yield* reloading({
        applying: Effect.sleep("20 seconds"),
        dataset: () => isDown ? Effect.fail(down) : Effect.succeed(info),
        begin: (manifest) =>
          Effect.succeed({ ...activeConfigOf(manifest, info), config: manifest, info: undefined, sources: undefined })
      })
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* it.tables, "a")
      yield* it.change(manifestOf("a", "b"))
      // The check is complete, and what must end ends slowly.
      yield* TestClock.adjust("4 seconds")
      isDown = false
      for (let seconds = 0; seconds < 60; seconds++) {
        yield* Effect.andThen(TestClock.adjust("1 second"), settled)
        if (seconds > 30) assert.strictEqual(yield* it.tables, "a,b", it.lines.join("\n"))
      }
      assert.strictEqual(yield* it.version, info.version)
    }))
})
