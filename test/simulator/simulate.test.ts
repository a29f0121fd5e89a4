import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Fiber, Stdio } from "effect"
import { simulate } from "../../src/programs/verbs/simulate.ts"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { NodeNeedsAmp } from "../../src/simulator/SimulatorError.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { arrowFlightReader } from "./arrowFlightReader.ts"

describe("simulate", () => {
  it.live("refuses the chain of a node in the dialect nozzle, from code and from the command line", () =>
    Effect.gen(function*() {
      const evmRpc = new URL("http://127.0.0.1:1")
      const error = yield* Effect.flip(startSimulator({ dialect: "nozzle", evmRpc }))
      assert.deepStrictEqual(error, new NodeNeedsAmp())
      const run = yield* startAmpsync({}, ["simulate", "--dialect", "nozzle", "--evm-rpc", evmRpc.href])
      assert.strictEqual((yield* run.exited).code, 2)
      assert.include(run.output(), error.message)
    }))

  for (const dialect of ["nozzle", "amp"] as const) {
    it.live(`${dialect}: prints its addresses and a query that works there, and closes when interrupted`, () =>
      Effect.gen(function*() {
        const printed: Array<string> = []
        const capture = { ...globalThis.console, log: (text: string) => void printed.push(text) }
        const running = yield* simulate({ dialect, blocks: 10 }).pipe(
          Effect.provideService(Console.Console, capture),
          Effect.provide(Stdio.layerTest({})),
          Effect.forkChild
        )
        while (printed.length === 0) yield* Effect.sleep("10 millis")
        const [, flight] = /Arrow Flight +(\S+)/.exec(printed[0]!) ?? []
        const [, admin] = /Admin API +(\S+)/.exec(printed[0]!) ?? []
        const [, query] = /Try +(.+)/.exec(printed[0]!) ?? []
        const reader = yield* arrowFlightReader(flight!)
        const stream = yield* Effect.promise(() => reader.open(query!))
        const first = yield* Effect.promise(stream.next)
        assert.deepStrictEqual(first!.ranges[0]!.numbers, { start: 0, end: 9 })
        assert.strictEqual((yield* Effect.promise(() => fetch(`${admin}/datasets`))).status, 200)
        yield* Effect.promise(stream.close)
        yield* Fiber.interrupt(running)
        const after = yield* Effect.promise(() => fetch(`${admin}/datasets`).then(() => "answered", () => "closed"))
        assert.strictEqual(after, "closed")
      }))
  }
})
