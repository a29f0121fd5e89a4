/** The source's chain read over real gRPC from the simulator; the schedule of the queries with doubles. */
import { assert, describe, it } from "@effect/vitest"
import { status } from "@grpc/grpc-js"
import { Cause, Clock, Context, Effect, Exit, Fiber, Layer, Option, Result, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { FlightData } from "../../src/domain/flight/FlightData.ts"
import { decodeManifest } from "../../src/domain/manifest/Manifest.ts"
import { layer as flightLayer } from "../../src/layers/FlightClient.ts"
import { layerWith, type SourceHeadOptions } from "../../src/layers/SourceHead.ts"
import { AdminApi } from "../../src/services/AdminApi.ts"
import { FlightClient, FlightError } from "../../src/services/FlightClient.ts"
import { SourceHead } from "../../src/services/SourceHead.ts"
import { type SimulatorOptions, startSimulator } from "../../src/simulator/Simulator.ts"
import type { Dialect } from "../../src/simulator/tables.ts"
import { testSettings } from "../support/testSettings.ts"
import { unreachableDatabase } from "../support/unreachableDatabase.ts"
import { manifestOf } from "../support/world.ts"
import { apiAt } from "./admin-api/server.ts"

const manifestFor = (dialect: Dialect) =>
  Result.getOrThrow(decodeManifest(manifestOf(dialect, { blocks: "SELECT * FROM anvil.blocks" })))

/** A simulated source and the service that reads it. */
const desk = Effect.fnUntraced(function*(
  options: SimulatorOptions & { readonly adminUrl?: string },
  head: SourceHeadOptions = {}
) {
  const simulator = yield* Effect.orDie(startSimulator({ seed: 5, ...options }))
  const flight = flightLayer.pipe(
    Layer.provide(testSettings(unreachableDatabase, { AMP_FLIGHT_ADDR: simulator.flightUrl }))
  )
  const services = yield* Layer.build(
    layerWith({ window: "20 millis", ...head }).pipe(
      Layer.provide(apiAt(options.adminUrl ?? simulator.adminUrl)),
      Layer.provideMerge(flight)
    )
  )
  const source = Context.get(services, SourceHead)
  const manifest = manifestFor(options.dialect)
  const hashAt = (block: bigint) => simulator.chain.hashAt(block)!
  return {
    simulator,
    flight: Context.get(services, FlightClient),
    source,
    hashAt,
    /** Checks a block by its number and the hash it has now, or the one that is given. */
    check: (block: bigint, hash = hashAt(block), network = "anvil") => source.check(manifest, network, { block, hash }),
    /** The queries that were run. */
    queries: () => simulator.faults.calls.filter(({ call }) => call === "DoGet").map(({ sql }) => sql)
  }
})

describe("SourceHead", () => {
  for (const dialect of ["nozzle", "amp"] as const) {
    const atSeconds = (block: number) => dialect === "amp" ? 1_710_000_000 + 12 * block : undefined

    it.live(`${dialect}: one query shows that a block is canonical, and where the chain ends`, () =>
      Effect.gen(function*() {
        const { check, hashAt, queries, simulator } = yield* desk({ dialect, blocks: 30 })
        const head = { block: 29n, hash: hashAt(29n), atSeconds: atSeconds(29), isExact: true }
        assert.deepStrictEqual(yield* check(12n), { verdict: "canonical", head })
        assert.deepStrictEqual(yield* check(29n), { verdict: "canonical", head })
        assert.lengthOf(queries(), 2)
        simulator.mine(1)
        assert.deepStrictEqual((yield* check(29n)).head?.block, 30n)
      }))

    it.live(`${dialect}: without the Admin API a table beside the queried one is read once it is proved to be the network's`, () =>
      Effect.gen(function*() {
        const { check, hashAt, simulator } = yield* desk({ dialect, blocks: 30, adminUrl: "http://127.0.0.1:9" })
        const old = hashAt(29n)
        const wrong = dialect === "amp" ? check(12n, hashAt(12n), "other") : check(12n, `0x${"ab".repeat(32)}`)
        const error = yield* Effect.flip(wrong)
        assert.strictEqual(error.reason, "LookupFailed")
        assert.include(error.message, "AMP_ADMIN_API_ADDR")
        assert.deepInclude((yield* check(12n)).head, { block: 29n, hash: hashAt(29n) })
        simulator.reorg(3)
        assert.strictEqual((yield* check(29n, old)).verdict, "orphaned")
      }))

    it.live(`${dialect}: shows that a chain reaches up to a block far above the one that is checked`, () =>
      Effect.gen(function*() {
        const { hashAt, simulator, source } = yield* desk({ dialect, blocks: 400 })
        const manifest = manifestFor(dialect)
        const check = (tip: bigint) => source.check(manifest, "anvil", { block: 12n, hash: hashAt(12n) }, tip)
        const reached = yield* check(380n)
        assert.strictEqual(reached.verdict, "canonical")
        assert.isAtLeast(Number(reached.head?.block), 380)
        assert.isUndefined(reached.isHeadLater)
        assert.isBelow(Number((yield* check(401n)).head?.block), 401)
        simulator.mine(2)
        assert.isAtLeast(Number((yield* check(401n)).head?.block), 401)
      }))

    it.live(`${dialect}: a head that had to be read after the verdict is marked`, () =>
      Effect.gen(function*() {
        const { hashAt, simulator, source } = yield* desk({ dialect, blocks: 30 })
        const manifest = manifestFor(dialect)
        const check = (block: bigint, hash: string) => source.check(manifest, "anvil", { block, hash })
        const [old, lost] = [hashAt(3n), hashAt(29n)]
        simulator.chain.reset({ blocks: 5 })
        const [kept] = yield* Effect.all([check(3n, hashAt(3n)), check(29n, lost)], { concurrency: "unbounded" })
        assert.strictEqual(kept.verdict, "canonical")
        assert.strictEqual(kept.isHeadLater, dialect === "nozzle" ? true : undefined)
        assert.strictEqual((yield* check(3n, old)).verdict, "orphaned")
      }))

    it.live(`${dialect}: a block whose number has another hash now is orphaned`, () =>
      Effect.gen(function*() {
        const { check, hashAt, simulator } = yield* desk({ dialect, blocks: 30 })
        const [kept, replaced] = [hashAt(20n), hashAt(29n)]
        simulator.reorg(3)
        const { head, verdict } = yield* check(29n, replaced)
        assert.deepStrictEqual([verdict, head?.block, head?.hash], ["orphaned", 30n, hashAt(30n)])
        assert.strictEqual((yield* check(20n, kept)).verdict, "canonical")
      }))

    it.live(`${dialect}: a block above the head of a chain that became shorter is orphaned`, () =>
      Effect.gen(function*() {
        const { check, hashAt, queries, simulator } = yield* desk({ dialect, blocks: 30 })
        const old = hashAt(29n)
        simulator.chain.reset({ blocks: 5 })
        assert.deepStrictEqual(yield* check(29n, old), {
          verdict: "orphaned",
          head: { block: 4n, hash: hashAt(4n), atSeconds: atSeconds(4), isExact: true }
        })
        // Only on a nozzle server the last block needs a query of its own.
        assert.lengthOf(queries(), dialect === "nozzle" ? 2 : 1)
      }))

    it.live(`${dialect}: a shorter chain that the server has not noticed shows as a head that does not move`, () =>
      Effect.gen(function*() {
        const { check, hashAt, simulator } = yield* desk({ dialect, blocks: 30 })
        const watermark = hashAt(29n)
        simulator.chain.replaceByShorter(2)
        simulator.mine(5)
        const { head, verdict } = yield* check(29n, watermark)
        assert.deepStrictEqual([verdict, head?.block], ["canonical", 29n])
      }))

    it.live(`${dialect}: a block that the source does not have is unknown, and so is every block in an empty source`, () =>
      Effect.gen(function*() {
        const { check, hashAt, simulator } = yield* desk({ dialect, blocks: 30, startBlock: 20 })
        const { head, verdict } = yield* check(5n)
        assert.deepStrictEqual([verdict, head?.block], ["unknown", 29n])
        simulator.faults.noData = true
        if (dialect === "amp") {
          assert.deepStrictEqual(yield* check(25n, hashAt(25n)), { verdict: "unknown", head: undefined })
        }
        const empty = yield* desk({ dialect, blocks: 0 })
        assert.deepStrictEqual(yield* empty.check(3n, `0x${"ab".repeat(32)}`), { verdict: "unknown", head: undefined })
      }))

    it.live(`${dialect}: calls that come together share one query, each with its own verdict`, () =>
      Effect.gen(function*() {
        const { check, hashAt, queries, simulator } = yield* desk({ dialect, blocks: 30 })
        const [fork, gone] = [hashAt(26n), hashAt(28n)]
        simulator.reorg(3)
        const reports = yield* Effect.all(
          [check(28n, gone), check(3n), check(26n, fork), check(28n), check(28n)],
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          reports.map(({ verdict }) => verdict),
          ["orphaned", "canonical", "canonical", "canonical", "canonical"]
        )
        for (const { head } of reports) assert.strictEqual(head?.block, 30n)
        assert.lengthOf(queries(), 1)
      }))

    it.live(`${dialect}: an interrupted caller does not affect the others, whether the query runs already or not`, () =>
      Effect.gen(function*() {
        const { check, queries, simulator } = yield* desk({ dialect, blocks: 30 }, { window: "100 millis" })
        yield* check(1n)
        for (const pause of ["10 millis", "200 millis"] as const) {
          simulator.faults.silence()
          const [first, second] = [yield* Effect.forkChild(check(28n)), yield* Effect.forkChild(check(29n))]
          yield* Effect.sleep(pause)
          yield* Fiber.interrupt(first)
          simulator.faults.resume()
          assert.strictEqual((yield* Fiber.join(second)).verdict, "canonical")
        }
        assert.lengthOf(queries(), 3)
      }))

    it.live(`${dialect}: reads the chain while a stream hangs`, () =>
      Effect.gen(function*() {
        const { check, flight, simulator } = yield* desk({ dialect, blocks: 30 })
        const { messages } = yield* flight.open({
          sql: "SELECT * FROM anvil.logs SETTINGS stream = true",
          cursor: undefined
        })
        yield* Effect.forkScoped(Stream.runDrain(messages))
        while (simulator.faults.messagesSent < 2) yield* Effect.sleep("10 millis")
        assert.strictEqual(simulator.faults.hangStreams(), 1)
        simulator.mine(4)
        assert.strictEqual((yield* check(29n)).head?.block, 33n)
      }))

    it.live(`${dialect}: a server that accepts and never answers is an error after the deadline, with network and table`, () =>
      Effect.gen(function*() {
        const { check, simulator } = yield* desk({ dialect, blocks: 30 }, { deadline: "300 millis" })
        yield* check(29n)
        simulator.faults.silence()
        const error = yield* Effect.flip(check(29n))
        const table = dialect === "amp" ? "\"_/anvil@0.1.0\".blocks" : "anvil__0_1_0.blocks"
        assert.deepInclude(error, { reason: "Timeout", retryable: true, network: "anvil", table })
        assert.strictEqual(
          error.message,
          `cannot read the chain of network "anvil" from table ${table}: no answer within 300ms`
        )
        // The lookup of the table has to end as well.
        assert.deepInclude(yield* Effect.flip(check(29n)), { reason: "Timeout", table: undefined })
        simulator.faults.resume()
        assert.strictEqual((yield* check(29n)).verdict, "canonical")
      }))

    it.live(`${dialect}: without a table of blocks of that network the error has the reason and is not retryable`, () =>
      Effect.gen(function*() {
        const { check, queries } = yield* desk({ dialect, blocks: 30 })
        const error = yield* Effect.flip(check(29n, undefined, "mainnet"))
        assert.deepInclude(error, { reason: "NoBlocksTable", retryable: false, network: "mainnet", table: undefined })
        assert.include(
          error.message,
          "cannot read the chain of network \"mainnet\": neither dataset \"_/example@0.1.0\""
        )
        assert.lengthOf(queries(), 0)
      }))

    it.live(`${dialect}: an error of the server keeps its message and whether a retry may help`, () =>
      Effect.gen(function*() {
        const { check, simulator } = yield* desk({ dialect, blocks: 30 })
        for (const [code, retryable] of [[status.INVALID_ARGUMENT, false], [status.UNAVAILABLE, true]] as const) {
          simulator.faults.failNext("DoGet", code, "not today")
          const error = yield* Effect.flip(check(29n))
          assert.deepInclude(error, { reason: "QueryFailed", retryable })
          assert.include(error.message, "not today")
        }
        simulator.faults.failAdmin(401, 20)
        assert.deepInclude(yield* Effect.flip(check(29n)), { reason: "LookupFailed", retryable: false })
      }))
  }

  it.live("nozzle: the head is exact within a hundred blocks; beyond them it is at least the last one returned, and a second query has the end", () =>
    Effect.gen(function*() {
      const { check, flight, hashAt, queries, simulator } = yield* desk({ dialect: "nozzle", blocks: 150 })
      const headSeenFrom = (block: bigint) =>
        Effect.map(check(block), ({ end, head }) => [head?.block, head?.isExact, end?.block])
      assert.deepStrictEqual(yield* headSeenFrom(51n), [149n, true, undefined])
      assert.lengthOf(queries(), 1)
      assert.deepStrictEqual(yield* headSeenFrom(10n), [109n, false, 149n])
      assert.deepStrictEqual(yield* headSeenFrom(50n), [149n, false, 149n])
      const withoutEnd = yield* Layer.build(
        layerWith({ window: "20 millis" }).pipe(
          Layer.provide(apiAt(simulator.adminUrl)),
          Layer.provide(Layer.mock(FlightClient, {
            query: (sql) => flight.query(sql.includes("ORDER BY") ? "SELECT a FROM nowhere" : sql)
          }))
        )
      )
      const report = yield* Context.get(withoutEnd, SourceHead).check(manifestFor("nozzle"), "anvil", {
        block: 10n,
        hash: hashAt(10n)
      })
      assert.strictEqual(report.verdict, "canonical")
      assert.deepInclude(report.head, { block: 109n, isExact: false })
      assert.isUndefined(report.end)
    }))

  it.live("a config that was reloaded with the same dependencies shares the query", () =>
    Effect.gen(function*() {
      const { hashAt, queries, source } = yield* desk({ dialect: "amp", blocks: 30 })
      const check = (block: bigint) => source.check(manifestFor("amp"), "anvil", { block, hash: hashAt(block) })
      yield* Effect.all([check(3n), check(29n)], { concurrency: 2 })
      assert.lengthOf(queries(), 1)
    }))
})

/**
 * `SourceHead` without an Admin API, over two sources of the same chain: the dataset `late` ends ten blocks before `anvil`;
 * `also` names a second network in the metadata of `anvil`.
 */
const twoDatasets = Effect.fnUntraced(function*(dialect: Dialect, also?: string) {
  const [late, full] = [yield* desk({ dialect, blocks: 20 }), yield* desk({ dialect, blocks: 30 })]
  const query = (sql: string) => {
    const messages = (sql.includes("late") ? late : full).flight.query(sql.replace(/late/, "anvil"))
    return also === undefined ? messages : Stream.map(messages, (message) => withNetwork(message, also))
  }
  const services = yield* Layer.build(
    layerWith({ window: "20 millis" }).pipe(
      Layer.provide(apiAt("http://127.0.0.1:9")),
      Layer.provide(Layer.mock(FlightClient, { query }))
    )
  )
  const source = Context.get(services, SourceHead)
  return (block: bigint, reads: ReadonlyArray<string>, hash = full.hashAt(block)) => {
    const queries = Object.fromEntries(reads.map((schema) => [`${schema}_rows`, `SELECT * FROM ${schema}.blocks`]))
    const manifest = Result.getOrThrow(decodeManifest(manifestOf(dialect, queries)))
    return source.check(manifest, "anvil", { block, hash })
  }
})

/** The message with each range of its metadata once more, as one of `network`. */
const withNetwork = (message: FlightData, network: string): FlightData => {
  if (message.appMetadata.length === 0) return message
  const metadata = JSON.parse(new TextDecoder().decode(message.appMetadata)) as {
    readonly ranges: ReadonlyArray<object>
  }
  const ranges = [...metadata.ranges, ...metadata.ranges.map((range) => ({ ...range, network }))]
  return { ...message, appMetadata: new TextEncoder().encode(JSON.stringify({ ...metadata, ranges })) }
}

describe("SourceHead without an Admin API", () => {
  for (const dialect of ["nozzle", "amp"] as const) {
    it.live(`${dialect}: a dataset that lags behind another one that is read is no proof that a block is orphaned`, () =>
      Effect.gen(function*() {
        const check = yield* twoDatasets(dialect)
        for (const reads of [["late", "anvil"], ["anvil", "late"]]) {
          for (const block of [12n, 29n]) {
            const { head, verdict } = yield* check(block, reads)
            assert.deepStrictEqual([verdict, head?.block], ["canonical", 29n])
          }
        }
      }))

    it.live(`${dialect}: a dataset that a changed config no longer reads is not asked any more`, () =>
      Effect.gen(function*() {
        const check = yield* twoDatasets(dialect)
        assert.strictEqual((yield* check(12n, ["late"])).verdict, "canonical")
        assert.strictEqual((yield* check(12n, ["anvil"])).head?.block, 29n)
        assert.strictEqual((yield* check(29n, ["anvil"])).verdict, "canonical")
      }))
  }

  it.live("amp: a table with blocks of several networks is no proof that a block is orphaned", () =>
    Effect.gen(function*() {
      const check = yield* twoDatasets("amp", "other")
      const error = yield* Effect.flip(check(29n, ["anvil"], `0x${"ab".repeat(32)}`))
      assert.strictEqual(error.reason, "LookupFailed")
    }))
})

/** The service with doubles that count calls; `answer` is the result of every query. */
const counting = Effect.fnUntraced(function*(answer: Effect.Effect<void, FlightError> = Effect.void) {
  const asked = { admin: 0, flight: 0 }
  let table: Option.Option<string> = Option.some("anvil.blocks")
  const services = yield* Layer.build(
    layerWith({}).pipe(Layer.provide(Layer.mergeAll(
      Layer.mock(AdminApi, { blocksTable: () => Effect.sync(() => (asked.admin += 1, table)) }),
      Layer.mock(FlightClient, {
        query: () =>
          Stream.unwrap(Effect.suspend(() => {
            asked.flight += 1
            return Effect.as(answer, Stream.empty)
          }))
      })
    )))
  )
  const source = Context.get(services, SourceHead)
  const ask = Effect.exit(source.check(manifestFor("nozzle"), "anvil", { block: 5n, hash: "0x" }))
  return {
    asked,
    source,
    /** Checks a block, and lets the window and a deadline pass. */
    ask: Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(ask, { startImmediately: true })
      yield* TestClock.adjust("21 seconds")
      return yield* Fiber.join(fiber)
    }),
    publish: (name: string | undefined) => {
      table = Option.fromNullishOr(name)
    }
  }
})

const unavailable = new FlightError({ operation: "DoGet", status: "UNAVAILABLE", detail: "gone", retryable: true })

describe("the pace of SourceHead", () => {
  it.effect("caches the table for ten minutes", () =>
    Effect.gen(function*() {
      const { ask, asked } = yield* counting()
      for (let i = 0; i < 20; i += 1) yield* ask
      assert.strictEqual(asked.admin, 1)
      yield* TestClock.adjust("10 minutes")
      yield* ask
      assert.strictEqual(asked.admin, 2)
    }))

  it.effect("searches for the table again after an error, but not where there is none", () =>
    Effect.gen(function*() {
      const failing = yield* counting(Effect.fail(unavailable))
      for (let i = 0; i < 3; i += 1) assert.isTrue(Exit.isFailure(yield* failing.ask))
      assert.deepStrictEqual(failing.asked, { admin: 3, flight: 3 })
      const missing = yield* counting()
      missing.publish(undefined)
      for (let i = 0; i < 3; i += 1) assert.isTrue(Exit.isFailure(yield* missing.ask))
      assert.deepStrictEqual(missing.asked, { admin: 1, flight: 0 })
      missing.publish("anvil.blocks")
      yield* TestClock.adjust("10 minutes")
      assert.isTrue(Exit.isSuccess(yield* missing.ask))
    }))

  it.effect("has a deadline of twenty seconds", () =>
    Effect.gen(function*() {
      const { ask } = yield* counting(Effect.never)
      const exit = yield* ask
      const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
      assert.deepInclude(error, { reason: "Timeout", retryable: true })
    }))

  it.effect("ends with its layer, also during a query", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      let cancelled = 0
      const cancellable = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (cancelled += 1)))
      const { asked, source } = yield* Scope.provide(counting(cancellable), scope)
      const block = { block: 5n, hash: "0x" }
      const fiber = yield* Effect.forkChild(source.check(manifestFor("nozzle"), "anvil", block), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([asked.flight, cancelled], [1, 0])
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.strictEqual(cancelled, 1)
    }))

  it.effect("ticks every fifteen seconds, at the same moment for all callers of a network", () =>
    Effect.gen(function*() {
      const { source } = yield* counting()
      const ticks: Array<number> = []
      const waiting = Effect.andThen(
        source.nextTick("anvil"),
        Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sync(() => void ticks.push(now)))
      )
      for (const pause of ["0 millis", "4 seconds", "7 seconds"] as const) {
        yield* TestClock.adjust(pause)
        yield* Effect.forkChild(Effect.repeat(waiting, { times: 2 }), { startImmediately: true })
      }
      yield* TestClock.adjust("1 minute")
      const moments = [...new Set(ticks)]
      assert.lengthOf(ticks, 9)
      for (const [i, moment] of moments.slice(1).entries()) assert.strictEqual(moment - moments[i]!, 15_000)
      assert.isAtMost(moments.length, 4)
      assert.isAtMost(moments[0]!, 15_000)
    }))

  it.effect("ticks at other moments in another process", () =>
    Effect.gen(function*() {
      const firstTick = Effect.gen(function*() {
        const { source } = yield* counting()
        const fiber = yield* Effect.forkChild(Effect.andThen(source.nextTick("anvil"), Clock.currentTimeMillis), {
          startImmediately: true
        })
        yield* TestClock.adjust("15 seconds")
        return (yield* Fiber.join(fiber)) % 15_000
      })
      const moments = yield* Effect.all(Array.from({ length: 8 }, () => firstTick))
      assert.isAbove(new Set(moments).size, 1)
    }))
})
