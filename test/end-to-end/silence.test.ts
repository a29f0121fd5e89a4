/** Sessions of PostgreSQL that fall silent, with the real program. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { allDifferences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { type Proxy, startProxy, throughProxy } from "../support/proxy.ts"
import { awaitCanonicalChain } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

/** A statement that is not answered is given up after a minute: a stop does not wait for that. */
const STOP_WITHIN_MILLIS = 20_000

const behindProxy = Effect.gen(function*() {
  const world = yield* makeWorld({ dialect: "amp", blocks: 40, maxRangeBlocks: 20 })
  return { world, proxy: yield* startProxy(Number(new URL(world.database.url).port)) }
})

const start = (world: World, proxy: Proxy, parameters = "") =>
  startAmpsync({ ...world.environment, DATABASE_URL: throughProxy(world.database.url, proxy) + parameters })

/** Stops it while a statement is not answered. */
const stops = Effect.fnUntraced(function*(process: AmpsyncProcess, proxy: Proxy) {
  yield* eventually(
    () => `a session is silent; the process printed:\n${process.output()}`,
    Effect.sync(() => proxy.isSilent())
  )
  yield* Effect.sleep(200)
  const began = Date.now()
  yield* process.kill("SIGTERM")
  const { code } = yield* process.exited
  assert.strictEqual(code, 0, process.output())
  assert.isBelow(Date.now() - began, STOP_WITHIN_MILLIS)
})

describe("SIGTERM while a statement is not answered", () => {
  it.live.each(
    [
      ["the bookkeeping", () => "_ampsync_checkpoints ("],
      ["the lease of a table", () => "FOR UPDATE OF c"],
      ["a new table", (schema: string) => `"${schema}"."blocks" (`],
      ["rows", () => "COPY "]
    ] as const
  )("of %s exits 0 within five seconds", ([, textOf]) =>
    Effect.gen(function*() {
      const { proxy, world } = yield* behindProxy
      proxy.blackholeOnRequest(textOf(world.database.schema))
      yield* stops(yield* start(world, proxy), proxy)
    }))

  it.live("of the first login exits 0 within five seconds", () =>
    Effect.gen(function*() {
      const { proxy, world } = yield* behindProxy
      proxy.goSilentAt(1, "request")
      yield* stops(yield* start(world, proxy), proxy)
    }))

  it.live("of a reorg's deletion exits 0 within five seconds", () =>
    Effect.gen(function*() {
      const { proxy, world } = yield* behindProxy
      const process = yield* start(world, proxy)
      yield* awaitCanonicalChain(world)
      proxy.blackholeOnRequest("DELETE FROM")
      world.simulator.reorg(3)
      yield* stops(process, proxy)
    }))
})

describe("a server that accepts a connection and answers nothing", () => {
  it.live("at the start is a failure that is reported and tried again", () =>
    Effect.gen(function*() {
      const { proxy, world } = yield* behindProxy
      proxy.freeze()
      const process = yield* start(world, proxy, "?connect_timeout=1")
      yield* process.prints(
        /Database connection failed: PostgreSQL: no connection within 1 s \(at .*, which DATABASE_URL names\)[^]*Database connection failed: /
      )
      proxy.restore()
      yield* awaitCanonicalChain(world)
      assert.deepStrictEqual(yield* allDifferences(world), [])
    }))
})
