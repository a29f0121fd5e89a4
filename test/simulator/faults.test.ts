import { assert, describe, it } from "@effect/vitest"
import { status } from "@grpc/grpc-js"
import { Effect, Fiber } from "effect"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { ArrowFlightReader } from "./arrowFlightReader.ts"
import { completed, desk, isLastOf, next, oneBatch, ranges, span, tableOf } from "./streaming.ts"

const failureOf = (promise: Promise<unknown>): Effect.Effect<string> =>
  Effect.promise(() => promise.then(() => "no failure", String))

describe("faults of the simulator", () => {
  it.live("cutting all connections fails every stream with UNAVAILABLE, and the next call is served again", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 5 })
      const opened = yield* stream("blocks")
      yield* ranges(opened, completed)
      assert.deepStrictEqual([simulator.faults.connections, simulator.faults.openStreams], [1, 1])
      simulator.faults.cutAll()
      assert.include(yield* failureOf(opened.next()), "UNAVAILABLE")
      assert.deepStrictEqual((yield* ranges(yield* stream("blocks"), completed)).map(span), [[0, 4]])
      assert.deepStrictEqual([simulator.faults.connections, simulator.faults.openStreams], [1, 1])
    }))

  it.live("cutting after three messages delivers three of them, in the middle of a range", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "nozzle", blocks: 50, maxBatchRows: 10 })
      simulator.faults.cutAfter(3)
      const opened = yield* stream("blocks")
      // Schema and two batches of ten rows.
      assert.deepStrictEqual([(yield* next(opened))?.rows, (yield* next(opened))?.rows], [10, 10])
      assert.include(yield* failureOf(opened.next()), "UNAVAILABLE")
    }))

  it.live("a stream can fail in the middle of a range with a status of choice", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 50, maxBatchRows: 10, startBlock: 1 })
      simulator.faults.failAfter(3, status.INTERNAL, "streaming query execution error | Caused by: disk")
      const opened = yield* stream("blocks")
      assert.deepStrictEqual([(yield* next(opened))?.rows, (yield* next(opened))?.rows], [10, 10])
      assert.include(yield* failureOf(opened.next()), "INTERNAL: streaming query execution error | Caused by: disk")
    }))

  it.live("the next calls fail with their planned status, each once", () =>
    Effect.gen(function*() {
      const { reader, simulator } = yield* desk({ dialect: "amp", blocks: 5 })
      simulator.faults.failNext("GetFlightInfo", status.UNAVAILABLE, "try later", 2)
      simulator.faults.failNext("DoGet", status.RESOURCE_EXHAUSTED)
      const sql = `SELECT hash FROM ${tableOf("amp", "blocks")}`
      assert.include(yield* failureOf(reader.ticket(sql)), "UNAVAILABLE: try later")
      assert.include(yield* failureOf(reader.ticket(sql)), "UNAVAILABLE: try later")
      assert.include(yield* failureOf(reader.batches(sql)), "RESOURCE_EXHAUSTED")
      assert.strictEqual(yield* failureOf(reader.batches(sql)), "no failure")
    }))

  it.live("a silent server accepts and answers nothing until it resumes, then nothing is missing", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 5 })
      const opened = yield* stream("blocks")
      yield* ranges(opened, completed)
      simulator.faults.silence()
      simulator.mine(1)
      const tip = yield* Effect.forkChild(ranges(opened, completed))
      const late = yield* Effect.forkChild(Effect.flatMap(stream("blocks"), (_) => ranges(_, completed)))
      yield* Effect.sleep("150 millis")
      assert.isUndefined(tip.pollUnsafe())
      assert.isUndefined(late.pollUnsafe())
      simulator.faults.resume()
      assert.deepStrictEqual((yield* Fiber.join(tip)).map(span), [[5, 5]])
      assert.deepStrictEqual((yield* Fiber.join(late)).map(span), [[0, 5]])
    }))

  it.live("a stream that hangs is silent while batch queries and new streams are served, and misses nothing afterwards", () =>
    Effect.gen(function*() {
      const { reader, simulator, stream } = yield* desk({ dialect: "amp", blocks: 5 })
      const [hanging, other] = [yield* stream("blocks"), yield* stream("logs")]
      for (const opened of [hanging, other]) yield* ranges(opened, completed)
      assert.strictEqual(simulator.faults.hangStreams(({ sql }) => sql.includes("blocks")), 1)
      simulator.mine(1)
      const tip = yield* Effect.forkChild(ranges(hanging, completed))
      assert.deepStrictEqual((yield* ranges(other, completed)).map(span), [[5, 5]])
      assert.deepStrictEqual((yield* ranges(yield* stream("blocks"), completed)).map(span), [[0, 5]])
      const batches = yield* Effect.promise(() => reader.batches(`SELECT hash FROM ${tableOf("amp", "blocks")}`))
      assert.deepStrictEqual(batches.map((_) => _.rows), [6, 0])
      yield* Effect.sleep("100 millis")
      assert.isUndefined(tip.pollUnsafe())
      assert.strictEqual(simulator.faults.connections, 1)
      simulator.faults.resume()
      assert.deepStrictEqual((yield* Fiber.join(tip)).map(span), [[5, 5]])
    }))

  it.live("a stream that hangs can be ended, cut and cancelled like any other", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 5 })
      const opened = [yield* stream("blocks"), yield* stream("logs")]
      for (const each of opened) yield* ranges(each, completed)
      assert.strictEqual(simulator.faults.hangStreams(), 2)
      simulator.mine(1)
      yield* Effect.promise(() => opened[0]!.close())
      simulator.faults.endStreams()
      assert.isUndefined(yield* next(opened[1]!))
      assert.strictEqual(simulator.faults.openStreams, 0)
    }))

  it.live("streams end cleanly on demand", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "nozzle", blocks: 5 })
      const opened = yield* stream("blocks")
      yield* ranges(opened, oneBatch)
      simulator.faults.endStreams()
      assert.isUndefined(yield* next(opened))
      assert.strictEqual(simulator.faults.openStreams, 0)
    }))

  it.live("a server configured to ignore cursors begins at the start of the dataset", () =>
    Effect.gen(function*() {
      const { cursor, simulator, stream } = yield* desk({ dialect: "amp", blocks: 9 })
      simulator.faults.ignoreResume = true
      assert.deepStrictEqual((yield* ranges(yield* stream("blocks", cursor(4n)), completed)).map(span), [[0, 8]])
      simulator.faults.clear()
      assert.deepStrictEqual((yield* ranges(yield* stream("blocks", cursor(4n)), completed)).map(span), [[5, 8]])
    }))

  for (const dialect of ["nozzle", "amp"] as const) {
    it.live(`${dialect}: one range names a wrong previous block, the next one does not`, () =>
      Effect.gen(function*() {
        const { simulator, stream } = yield* desk({ dialect, blocks: 9, maxRangeBlocks: 3 })
        simulator.faults.swapPrevHash()
        const [lie, truth] = yield* ranges(yield* stream("blocks"), isLastOf(dialect), 2)
        assert.strictEqual(lie!.range.prev_hash, `0x${"de".repeat(32)}`)
        assert.strictEqual(truth!.range.prev_hash, simulator.chain.hashAt(2n))
      }))
  }

  it.live("records what clients sent: headers, query and call", () =>
    Effect.gen(function*() {
      const { cursor, simulator, stream } = yield* desk({ dialect: "amp", blocks: 9 })
      yield* ranges(yield* stream("blocks", cursor(4n)), completed)
      const [info, get] = simulator.faults.calls
      assert.deepStrictEqual([info?.call, get?.call], ["GetFlightInfo", "DoGet"])
      assert.strictEqual(info?.headers["amp-resume"], cursor(4n)["amp-resume"])
      assert.include(get?.sql, "SETTINGS stream = true")
    }))

  it.live("with a block time the chain grows and reorganises by itself", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({
        dialect: "amp",
        blocks: 5,
        blockTime: "20 millis",
        reorgEvery: 4,
        reorgDepth: 2
      })
      const delivered = yield* ranges(yield* stream("blocks"), completed, 12)
      const reorgs = delivered.filter((_, i) => i > 0 && _.range.numbers.start <= delivered[i - 1]!.range.numbers.end)
      assert.isAtLeast(reorgs.length, 1)
      assert.isAtLeast(simulator.chain.reorgs, reorgs.length)
    }))

  it.live("closing the scope closes both servers at once, however many streams are open", () =>
    Effect.gen(function*() {
      let elsewhere: ReadonlyArray<Promise<unknown>> = []
      let closing = 0
      const { adminUrl, flightUrl } = yield* Effect.scoped(Effect.gen(function*() {
        const simulator = yield* startSimulator({ dialect: "amp", blocks: 5 })
        // These readers outlive the simulator: it must not wait for them.
        const readers = [new ArrowFlightReader(simulator.flightUrl), new ArrowFlightReader(simulator.flightUrl)]
        elsewhere = yield* Effect.promise(() =>
          Promise.all(
            readers.map(async (reader) => {
              const stream = await reader.open("SELECT * FROM anvil.blocks SETTINGS stream = true")
              while ((await stream.next())?.complete !== true);
              return stream.next().finally(() => reader.client.close())
            }).map((ended) => ({ ended }))
          )
        ).pipe(Effect.map((_) => _.map(({ ended }) => ended)))
        while (simulator.faults.messagesSent < 6) yield* Effect.sleep("20 millis")
        closing = Date.now()
        return simulator
      }))
      assert.isBelow(Date.now() - closing, 20_000)
      for (const ended of elsewhere) assert.include(yield* failureOf(ended), "UNAVAILABLE")
      assert.include(yield* failureOf(fetch(adminUrl)), "fetch failed")
      const again = yield* startSimulator({ dialect: "amp", flightPort: Number(new URL(flightUrl).port) })
      assert.strictEqual(again.flightUrl, flightUrl)
    }))

  it.live("a port that is taken is reported with server, host and port", () =>
    Effect.gen(function*() {
      const { flightUrl } = yield* startSimulator({ dialect: "amp" })
      const port = Number(new URL(flightUrl).port)
      const error = yield* Effect.flip(startSimulator({ dialect: "amp", flightPort: port }))
      assert.include(error.message, `Flight server cannot listen on 127.0.0.1:${port}`)
      assert.include(error.message, "choose another port with --flight-port")
    }))
})
