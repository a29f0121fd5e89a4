import { assert, describe, it } from "@effect/vitest"
import { status } from "@grpc/grpc-js"
import { Effect, Fiber, Result, Schedule, Stream } from "effect"
import { decodeSchema } from "../../src/domain/arrow/decodeSchema.ts"
import { parseStreamMetadata } from "../../src/domain/chain/StreamMetadata.ts"
import type { FlightData } from "../../src/domain/flight/FlightData.ts"
import type { FlightError } from "../../src/services/FlightClient.ts"
import { type SimulatorOptions, startSimulator } from "../../src/simulator/Simulator.ts"
import type { Dialect } from "../../src/simulator/tables.ts"
import { eventually } from "../support/eventually.ts"
import { startProxy } from "../support/proxy.ts"
import type { testSettings } from "../support/testSettings.ts"
import { clientOf, open, SQL, STREAM } from "./flight-client/client.ts"

const bench = (options: Partial<SimulatorOptions> = {}, more: Parameters<typeof testSettings>[1] = {}) =>
  Effect.gen(function*() {
    const simulator = yield* Effect.orDie(startSimulator({ dialect: "amp", seed: 3, blocks: 40, ...options }))
    return { simulator, client: yield* clientOf(simulator.flightUrl, more) }
  })

const rangesOf = (messages: ReadonlyArray<FlightData>) =>
  messages.flatMap(({ appMetadata }) => Result.getOrThrow(parseStreamMetadata(appMetadata))?.ranges ?? [])

const failureOf = <A>(exit: Effect.Effect<A, FlightError>) => Effect.flip(exit)

describe("the Flight client", () => {
  it.live.each<Dialect>(["amp", "nozzle"])(
    "sends the credential and both names of every header, on both calls, to a %s server",
    (dialect) =>
      Effect.gen(function*() {
        const { client, simulator } = yield* bench({ dialect, token: "t0ken", maxRangeBlocks: 10 }, {
          AMP_AUTH_TOKEN: "t0ken"
        })
        const hash = simulator.chain.hashAt(19n)!
        const messages = yield* open(client, STREAM, { network: "anvil", number: 19n, hash }).pipe(
          Stream.takeUntil((message) => rangesOf([message])[0]?.start === 30n),
          Stream.runCollect
        )
        assert.strictEqual(rangesOf(messages)[0]?.start, 20n, "it resumed after the cursor")
        const { calls } = simulator.faults
        assert.deepStrictEqual(calls.map(({ call }) => call), ["GetFlightInfo", "DoGet"])
        for (const { headers } of calls) assert.strictEqual(headers["authorization"], "Bearer t0ken")
        const position = `{"anvil":{"number":19,"hash":"${hash}"}}`
        assert.deepInclude(calls[0]?.headers, {
          "amp-stream": "true",
          "amp-resume": position,
          "nozzle-resume": position
        })
      })
  )

  it.live("without a valid credential fails permanently, and the error does not contain it", () =>
    Effect.gen(function*() {
      const { client } = yield* bench({ token: "t0ken" }, { AMP_AUTH_TOKEN: "wr0ng-t0ken" })
      const error = yield* failureOf(client.schema(SQL))
      assert.deepInclude(error, { operation: "GetFlightInfo", status: "UNAUTHENTICATED", retryable: false })
      assert.notInclude(JSON.stringify(error) + error.message, "wr0ng")
    }))

  it.live("returns the columns of a query without running it", () =>
    Effect.gen(function*() {
      const { client, simulator } = yield* bench()
      const schema = Result.getOrThrow(
        decodeSchema(yield* client.schema("SELECT \"to\", value FROM anvil.transactions"))
      )
      assert.deepStrictEqual(schema.fields.map(({ name }) => name), ["to", "value"])
      assert.deepStrictEqual(simulator.faults.calls.map(({ call }) => call), ["GetFlightInfo"])
    }))

  it.live("delivers every message that came before a connection is cut, and then a retryable failure", () =>
    Effect.gen(function*() {
      const { client, simulator } = yield* bench({ maxRangeBlocks: 4 })
      simulator.faults.cutAfter(7)
      let received = 0
      const error = yield* failureOf(Stream.runForEach(open(client), () => Effect.sync(() => received += 1)))
      assert.deepInclude(error, { operation: "DoGet", retryable: true })
      assert.isAtMost(received, 7)
      // The same client connects again by itself.
      const messages = yield* Effect.retry(
        Stream.runCollect(Stream.take(open(client), 9)),
        Schedule.spaced("100 millis")
      )
      assert.lengthOf(messages, 9)
    }))

  it.live("delivers messages in order and without a gap up to an error of the server, and reports its message", () =>
    Effect.gen(function*() {
      const { client, simulator } = yield* bench({ maxRangeBlocks: 4 })
      const textOf = ({ appMetadata, dataBody }: FlightData) => `${Buffer.from(appMetadata)} ${dataBody.length}`
      const undisturbed = yield* Stream.runCollect(Stream.take(open(client), 6))
      simulator.faults.failAfter(6, status.INTERNAL, `streaming query execution error | ${"x".repeat(5_000)}`)
      const received: Array<string> = []
      const error = yield* failureOf(
        Stream.runForEach(
          open(client),
          (message) => Effect.andThen(Effect.sleep(10), Effect.sync(() => received.push(textOf(message))))
        )
      )
      // grpc-js drops what it has buffered when the error comes; the server sends it again after the watermark.
      assert.deepStrictEqual(received, undisturbed.map(textOf).slice(0, received.length))
      assert.deepInclude(error, { status: "INTERNAL", retryable: true })
      assert.include(error.message, "streaming query execution error")
      assert.isBelow(error.message.length, 1_200)
    }))

  it.live("ends the stream where the server ends it", () =>
    Effect.gen(function*() {
      const { client, simulator } = yield* bench()
      simulator.faults.noData = true
      const messages = yield* Stream.runCollect(open(client))
      assert.deepStrictEqual(rangesOf(messages), [])
      simulator.faults.noData = false
      const counted = yield* Stream.runCollect(client.query("SELECT hash FROM anvil.blocks WHERE block_num = 7"))
      assert.isAbove(counted.length, 1)
    }))

  const permanent: ReadonlyArray<readonly [string, string, boolean]> = [
    ["SELECT FROM WHERE", "INVALID_ARGUMENT", false],
    ["SELECT nothing FROM anvil.logs", "INTERNAL", true],
    ["SELECT * FROM unknown.logs", "INTERNAL", true]
  ]
  it.live.each(permanent)(
    "decides by the status of %s (%s) whether a retry may help",
    ([sql, expected, retryable]) =>
      Effect.gen(function*() {
        const { client } = yield* bench()
        assert.deepInclude(yield* failureOf(client.schema(sql)), { status: expected, retryable })
      })
  )

  it.live("I8 slows the server while nobody consumes its messages", () =>
    Effect.gen(function*() {
      // The server has more than 100 MB to send, in messages of about 1 MB: a fast reader has them in 3 s.
      const { simulator } = yield* bench({ blocks: 20_000, maxRangeBlocks: 1000 })
      const proxy = yield* startProxy(Number(new URL(simulator.flightUrl).port))
      const client = yield* clientOf(`http://127.0.0.1:${proxy.port}`)
      const arrivals: Array<number> = []
      yield* open(client, "SELECT * FROM anvil.transactions SETTINGS stream = true").pipe(
        Stream.take(3),
        Stream.runForEach(() =>
          Effect.gen(function*() {
            let before = -1
            while (before !== proxy.returned()) {
              before = proxy.returned()
              yield* Effect.sleep("400 millis")
            }
            arrivals.push(before)
          })
        ),
        Effect.timeout("30 seconds")
      )
      // 16 messages wait in the stream of grpc-js, and a window of HTTP/2 in it and in the sockets.
      assert.isAbove(arrivals[0]!, 1_000_000)
      assert.isBelow(arrivals[0]!, 40_000_000)
      assert.isBelow(arrivals[2]! - arrivals[0]!, 8_000_000, "two messages taken, about two more sent")
    }), 40_000)

  it.live("has a connection for each stream, which closes when the stream is abandoned", () =>
    Effect.gen(function*() {
      const { client, simulator } = yield* bench()
      const { faults } = simulator
      const [first, second] = [
        yield* Effect.forkScoped(Stream.runDrain(open(client))),
        yield* Effect.forkScoped(Stream.runDrain(open(client)))
      ]
      yield* eventually("the streams are open", Effect.sync(() => faults.openStreams === 2))
      assert.strictEqual(faults.connections, 2, "each has a connection of its own")
      yield* Fiber.interrupt(first)
      yield* eventually("its connection is closed", Effect.sync(() => faults.connections === 1), 5_000)
      assert.strictEqual(faults.openStreams, 1, "the other one goes on")
      yield* Fiber.interrupt(second)
      yield* eventually("nothing is open", Effect.sync(() => faults.openStreams + faults.connections === 0), 5_000)
    }))

  it.live("I8 rejects a message above the limit with an error that names GRPC_MAX_DECODE_MB and is not retryable", () =>
    Effect.gen(function*() {
      const { client } = yield* bench({ blocks: 3_000, maxBatchRows: 100_000 }, { GRPC_MAX_DECODE_MB: "1" })
      const error = yield* failureOf(
        Stream.runDrain(open(client, "SELECT * FROM anvil.transactions SETTINGS stream = true"))
      )
      assert.include(error.message, "GRPC_MAX_DECODE_MB")
      assert.isFalse(error.retryable)
    }))

  it.live("does not fail while an idle chain sends nothing", () =>
    Effect.gen(function*() {
      const { client, simulator } = yield* bench({ blocks: 5 })
      const reading = yield* Effect.forkScoped(
        Stream.runCollect(Stream.takeUntil(open(client), (message) => rangesOf([message])[0]?.end === 5n))
      )
      yield* Effect.sleep(1_500)
      assert.isUndefined(reading.pollUnsafe())
      simulator.mine(1)
      assert.isAbove((yield* Fiber.join(reading)).length, 1)
    }))

  it.live("names the address and AMP_FLIGHT_ADDR where no Flight server responds, in a retryable failure", () =>
    Effect.gen(function*() {
      const proxy = yield* Effect.scoped(startProxy(1))
      const simulator = yield* Effect.orDie(startSimulator({ dialect: "amp", blocks: 5 }))
      // No server, swapped ports, TLS to a server without it.
      const secure = simulator.flightUrl.replace("http:", "https:")
      for (const url of [`http://127.0.0.1:${proxy.port}`, simulator.adminUrl, secure]) {
        const error = yield* failureOf((yield* clientOf(url)).schema(SQL))
        assert.deepInclude(error, { status: "UNAVAILABLE", retryable: true })
        assert.include(error.message, ` (at ${url}, which AMP_FLIGHT_ADDR names)`)
        assert.notInclude(error.message, "Resolution note")
      }
    }))
})
