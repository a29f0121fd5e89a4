/** The behaviour of servers and gateways below the level of calls, checked with independent clients. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { type ClientHttp2Session, connect, constants } from "node:http2"
import { ArrowFlightReader } from "./arrowFlightReader.ts"
import { completed, desk, isSilent, ranges, span, tableOf } from "./streaming.ts"

const failureOf = (promise: Promise<unknown>): Effect.Effect<string> =>
  Effect.promise(() => promise.then(() => "no failure", String))

/** An HTTP/2 connection below gRPC, with the GOAWAY it got. */
const http2Session = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ClientHttp2Session>((resume) => {
        const session = connect(url, () => resume(Effect.succeed(session))).on("error", () => undefined)
      }),
      (session) => Effect.sync(() => session.destroy())
    ),
    (session) => ({
      session,
      goaway: new Promise<string>((resolve) => session.on("goaway", (code, _, data) => resolve(`${code} ${data}`)))
    })
  )

const ping = (session: ClientHttp2Session) =>
  Effect.promise(() =>
    new Promise<boolean>((resolve) => {
      if (!session.ping((error) => resolve(error === null))) resolve(false)
    })
  )

const SQL = `SELECT hash FROM ${tableOf("amp", "blocks")}`

describe("connections of the simulator", () => {
  it.live("end by GOAWAY too_many_pings after the third ping before its time, as with gRPC's own servers", () =>
    Effect.gen(function*() {
      const { simulator } = yield* desk({ dialect: "amp", blocks: 5 })
      simulator.faults.enforcePings(300_000)
      const { goaway, session } = yield* http2Session(simulator.flightUrl)
      for (let n = 1; n <= 3; n++) assert.isTrue(yield* ping(session), `ping ${n}: the first and two strikes`)
      yield* ping(session)
      assert.strictEqual(yield* Effect.promise(() => goaway), `${constants.NGHTTP2_ENHANCE_YOUR_CALM} too_many_pings`)
    }))

  it.live("accept pings that come in time, and all of them once faults are cleared", () =>
    Effect.gen(function*() {
      const { simulator } = yield* desk({ dialect: "amp", blocks: 5 })
      const { session } = yield* http2Session(simulator.flightUrl)
      simulator.faults.enforcePings(1, 0)
      for (let n = 1; n <= 4; n++) {
        assert.isTrue(yield* ping(session))
        yield* Effect.sleep(20)
      }
      simulator.faults.enforcePings(300_000, 0)
      simulator.faults.clear()
      for (let n = 1; n <= 4; n++) assert.isTrue(yield* ping(session))
    }))

  it.live("that are frozen answer no ping and no call, and miss nothing once they resume", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 5 })
      const { session } = yield* http2Session(simulator.flightUrl)
      const opened = yield* stream("blocks")
      yield* ranges(opened, completed)
      assert.isTrue(yield* ping(session))
      simulator.faults.freeze()
      simulator.mine(1)
      const [pong, tip] = [yield* Effect.forkChild(ping(session)), yield* Effect.forkChild(ranges(opened, completed))]
      const late = yield* Effect.forkChild(Effect.flatMap(stream("blocks"), (_) => ranges(_, completed)))
      yield* Effect.sleep("200 millis")
      for (const fiber of [pong, tip, late]) assert.isUndefined(fiber.pollUnsafe())
      simulator.faults.resume()
      assert.isTrue(yield* Fiber.join(pong))
      assert.deepStrictEqual((yield* Fiber.join(tip)).map(span), [[5, 5]])
      assert.deepStrictEqual((yield* Fiber.join(late)).map(span), [[0, 5]])
    }))

  it.live("whose streams hang answer pings", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 5 })
      yield* ranges(yield* stream("blocks"), completed)
      const { session } = yield* http2Session(simulator.flightUrl)
      simulator.faults.hangStreams()
      simulator.faults.silence()
      assert.isTrue(yield* ping(session))
    }))

  it.live("carry as many streams at a time as configured, the next one waits for its turn", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 5, maxStreams: 2 })
      const [first, second] = [yield* stream("blocks"), yield* stream("logs")]
      for (const each of [first, second]) yield* ranges(each, completed)
      const third = yield* Effect.forkChild(Effect.flatMap(stream("blocks"), (_) => ranges(_, completed)))
      yield* Effect.sleep("200 millis")
      assert.isUndefined(third.pollUnsafe())
      yield* Effect.promise(() => second.close())
      // The call for its plan takes the place first, then the stream does.
      assert.deepStrictEqual((yield* Fiber.join(third)).map(span), [[0, 4]])
      assert.isTrue(yield* isSilent(first))
      assert.strictEqual(simulator.faults.connections, 1)
    }))

  it.live("keep open while their streams end by RST_STREAM 0, as when a server gets SIGTERM", () =>
    Effect.gen(function*() {
      const { simulator, stream } = yield* desk({ dialect: "amp", blocks: 5 })
      const opened = yield* stream("blocks")
      yield* ranges(opened, completed)
      simulator.faults.resetStreams()
      assert.include(yield* failureOf(opened.next()), "INTERNAL: Received RST_STREAM with code 0")
      assert.deepStrictEqual((yield* ranges(yield* stream("blocks"), completed)).map(span), [[0, 4]])
      assert.deepStrictEqual([simulator.faults.connections, simulator.faults.openStreams], [1, 1])
    }))

  it.live("return a maintenance page under HTTP 200, until faults are cleared", () =>
    Effect.gen(function*() {
      const { reader, simulator } = yield* desk({ dialect: "amp", blocks: 5 })
      simulator.faults.showMaintenancePage()
      const answerOf = ({ session }: { readonly session: ClientHttp2Session }) =>
        Effect.promise(() =>
          new Promise<Record<string, unknown>>((resolve) =>
            session.request({ ":path": "/" }).on("response", resolve).end()
          )
        )
      const page = yield* answerOf(yield* http2Session(simulator.flightUrl))
      assert.deepInclude(page, { ":status": 200, "content-type": "text/html; charset=utf-8" })
      assert.notStrictEqual(yield* failureOf(reader.ticket(SQL)), "no failure")
      simulator.faults.clear()
      assert.notStrictEqual((yield* answerOf(yield* http2Session(simulator.flightUrl)))[":status"], 200)
    }))

  for (const dialect of ["amp", "nozzle"] as const) {
    it.live(`${dialect}: a rotated token is required by every later call of both servers, open streams go on`, () =>
      Effect.gen(function*() {
        const { simulator } = yield* desk({ dialect, blocks: 5, token: "0ld" })
        const path = dialect === "amp" ? "/datasets/_/anvil/versions/0.1.0" : "/datasets/anvil/versions/0.1.0"
        const admin = (token: string) =>
          Effect.promise(() => fetch(simulator.adminUrl + path, { headers: { authorization: `Bearer ${token}` } }))
        const readers = ["0ld", "n3w"].map((token) =>
          new ArrowFlightReader(simulator.flightUrl, { authorization: `Bearer ${token}` })
        )
        yield* Effect.addFinalizer(() => Effect.sync(() => readers.forEach((_) => _.client.close())))
        const [before, after] = readers as [ArrowFlightReader, ArrowFlightReader]
        const sql = `SELECT hash FROM ${tableOf(dialect, "blocks")}`
        const opened = yield* Effect.promise(() => before.open(`${sql} SETTINGS stream = true`))
        yield* Effect.promise(opened.next)
        assert.strictEqual((yield* admin("0ld")).status, 200)
        simulator.faults.token = "n3w"
        assert.include(yield* failureOf(before.ticket(sql)), "UNAUTHENTICATED")
        assert.strictEqual(yield* failureOf(after.ticket(sql)), "no failure")
        assert.deepStrictEqual([(yield* admin("0ld")).status, (yield* admin("n3w")).status], [401, 200])
        simulator.mine(3)
        assert.isDefined(yield* Effect.promise(opened.next))
        yield* Effect.promise(opened.close)
      }))
  }
})
