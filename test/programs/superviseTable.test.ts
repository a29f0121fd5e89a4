import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Ref, Result, Semaphore, Stream } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { initialBatchSize } from "../../src/domain/BatchSize.ts"
import { resume } from "../../src/domain/chain/approach.ts"
import type { FlightData } from "../../src/domain/flight/FlightData.ts"
import { decodeManifest } from "../../src/domain/Manifest.ts"
import { layer as statusLayer } from "../../src/layers/SyncStatus.ts"
import { superviseTable } from "../../src/programs/superviseTable.ts"
import type { TableSession } from "../../src/programs/syncTable.ts"
import type { DatasetInfo } from "../../src/services/AdminApi.ts"
import { Checkpoints, TableHeld, TableRefused } from "../../src/services/Checkpoints.ts"
import { FlightClient, FlightError } from "../../src/services/FlightClient.ts"
import { SourceHead } from "../../src/services/SourceHead.ts"
import { SyncStatus } from "../../src/services/SyncStatus.ts"
import { TableSink, type TableWriter } from "../../src/services/TableSink.ts"
import { encapsulate, encodeSchema } from "../../src/simulator/arrowIpc.ts"
import { testSettings } from "../support/testSettings.ts"

const nowhere = { url: "postgresql://u:p@127.0.0.1:1/d", schema: "s", query: () => Effect.die("no database") }
const manifest = Result.getOrThrow(decodeManifest({
  name: "example",
  network: "anvil",
  version: "0.1.0",
  dependencies: {},
  tables: { t: { sql: "SELECT block_num FROM anvil.blocks" } }
}))
const info: DatasetInfo = { dialect: "amp", namespace: "_", name: "example", version: "0.1.0", tables: [] }
const schema = encapsulate(
  encodeSchema([{ name: "block_num", type: { kind: "int", bits: 64, signed: false }, nullable: false }])
)

const flightError = (retryable: boolean) =>
  new FlightError({
    operation: "DoGet",
    status: retryable ? "UNAVAILABLE" : "INVALID_ARGUMENT",
    detail: "injected",
    retryable
  })

const sqlError = (retryable: boolean) => {
  const fields = { message: "injected", operation: "COPY", cause: "injected" }
  return new SqlError.SqlError({
    reason: retryable ? new SqlError.ConnectionError(fields) : new SqlError.ConstraintError(fields)
  })
}

type OpenStream = Effect.Effect<Stream.Stream<FlightData, FlightError>, FlightError>

interface Script {
  readonly prepare?: Effect.Effect<void, SqlError.SqlError | TableHeld | TableRefused>
  /** The table has rows already, up to a block. */
  readonly upTo?: bigint
  /** What comes of each connection, told how many there were before. */
  readonly open: (attempt: number) => OpenStream
}

/** A supervised table among doubles: what it did, and a look at its state. */
const supervised = (script: Script) =>
  Effect.gen(function*() {
    let opened = 0
    let prepared = 0
    let released = 0
    const openedAt: Array<number> = []
    const writer: TableWriter = {
      plan: { columns: [], position: { kind: "rangeEnd" }, textNul: "refuse" },
      rangeMode: true,
      known: {
        network: "anvil",
        origin: 0n,
        history: script.upTo === undefined ? [] : [{ block: script.upTo, hash: `0x${"00".repeat(32)}` }],
        unverifiedFrom: undefined
      },
      rows: 0n,
      notes: [],
      commit: () => Effect.succeed({ rowsRemoved: 0 })
    }
    const doubles = Layer.mergeAll(
      Layer.mock(SourceHead, { check: () => Effect.succeed({ verdict: "unknown", head: undefined }) }),
      Layer.mock(FlightClient, {
        schema: () => Effect.succeed(schema),
        open: () =>
          Effect.clockWith((clock) =>
            Effect.suspend(() => {
              openedAt.push(clock.currentTimeMillisUnsafe())
              opened += 1
              return script.open(opened - 1)
            })
          )
      }),
      Layer.mock(TableSink, {
        prepare: () =>
          Effect.suspend(() => {
            prepared += 1
            return Effect.as(script.prepare ?? Effect.void, writer)
          })
      }),
      Layer.mock(Checkpoints, { activity: () => "test", release: () => Effect.sync(() => void (released += 1)) }),
      statusLayer,
      testSettings(nowhere)
    )
    const services = yield* Layer.build(doubles)
    const session: TableSession = {
      table: manifest.tables[0]!,
      generation: yield* Ref.make({ manifest, info }),
      permits: yield* Semaphore.make(1),
      size: yield* Ref.make(initialBatchSize),
      approach: yield* Ref.make(resume),
      commits: yield* Ref.make(0)
    }
    const fiber = yield* Effect.forkScoped(Effect.provideContext(superviseTable(session), services))
    const status = yield* Effect.provideContext(SyncStatus, services)
    return {
      fiber,
      session,
      opened: () => opened,
      prepared: () => prepared,
      released: () => released,
      openedAt,
      phase: Effect.map(status.get, (all) => all.get("t")?.phase)
    }
  })

const failing = (): OpenStream => Effect.fail(flightError(true))

describe("a table under supervision", () => {
  it.effect("is tried again after growing pauses that never exceed a minute and a fifth", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: failing })
      yield* TestClock.adjust("15 minutes")
      const pauses = it.openedAt.slice(1).map((at, i) => at - it.openedAt[i]!)
      assert.isAtLeast(pauses.length, 12)
      assert.isBelow(pauses[0]!, 1_300)
      assert.isAbove(pauses[3]!, pauses[0]! * 3)
      for (const pause of pauses) assert.isBelow(pause, 72_500)
      assert.isAbove(pauses.at(-1)!, 47_000)
    }))

  it.effect("is stalled after five attempts without progress, keeps trying, and is well again as soon as it can be", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        upTo: 9n,
        open: (attempt) => attempt < 8 ? failing() : Effect.succeed(Stream.never)
      })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* it.phase, "retrying")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* it.phase, "stalled")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(it.opened(), 9)
      assert.strictEqual(yield* it.phase, "caught up")
    }))

  it.effect("is not stalled by connections that end now and then while the chain stands still", () =>
    Effect.gen(function*() {
      // A gateway that recycles connections each minute, as many do.
      const minute = Stream.fromEffect(Effect.andThen(Effect.sleep("1 minute"), Effect.fail(flightError(true))))
      const it = yield* supervised({ upTo: 9n, open: () => Effect.succeed(minute) })
      for (let i = 0; i < 15; i += 1) {
        yield* TestClock.adjust("61 seconds")
        assert.notStrictEqual(yield* it.phase, "stalled")
      }
      assert.isAtLeast(it.opened(), 14, "it came back after a second each time")
    }))

  it.effect("is stalled by connections that live long and never bring anything to a table without a row", () =>
    Effect.gen(function*() {
      const minute = Stream.fromEffect(Effect.andThen(Effect.sleep("1 minute"), Effect.fail(flightError(true))))
      const it = yield* supervised({ open: () => Effect.succeed(minute) })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* it.phase, "catching up")
      for (let i = 0; i < 10; i += 1) yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* it.phase, "stalled")
    }))

  it.effect("is stalled by connections that end soon, although they could be opened", () =>
    Effect.gen(function*() {
      const short = Stream.fromEffect(Effect.andThen(Effect.sleep("3 seconds"), Effect.fail(flightError(true))))
      const it = yield* supervised({ open: () => Effect.succeed(short) })
      yield* TestClock.adjust("60 seconds")
      yield* TestClock.adjust("5 minutes")
      assert.isBelow(it.opened(), 14)
    }))

  it.effect("waits a second after a stream that ends without a word, so that coming back is no storm", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => Effect.succeed(Stream.empty) })
      yield* TestClock.adjust("20 seconds")
      assert.isAtMost(it.opened(), 20)
      assert.isAtLeast(it.opened(), 15)
    }))

  it.effect("is parked by what no retry can help, gives the table back, and does nothing more", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => Effect.fail(flightError(false)) })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* it.phase, "parked")
      assert.strictEqual(it.released(), 1)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(it.opened(), 1)
      assert.isUndefined(it.fiber.pollUnsafe(), "it waits for another config")
    }))

  it.effect.each(
    [
      ["a refused table", new TableRefused({ table: "t", reason: "not ours" }), "parked"],
      ["an error of the database that may heal", sqlError(true), "stalled"],
      ["an error of the database that may not", sqlError(false), "parked"]
    ] as const
  )("after %s is what it must be", ([, error, phase]) =>
    Effect.gen(function*() {
      const it = yield* supervised({ prepare: Effect.fail(error), open: failing })
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* it.phase, phase)
      assert.strictEqual(it.opened(), 0)
      assert.strictEqual(it.prepared() > 1, phase === "stalled")
    }))

  it.effect("I3 stands by for as long as another process writes, without a failure, and takes over when it may", () =>
    Effect.gen(function*() {
      const held = yield* Ref.make(true)
      const prepare = Effect.flatMap(
        Ref.get(held),
        (is) => is ? Effect.fail(new TableHeld({ table: "t", writer: "other pid 1" })) : Effect.void
      )
      const it = yield* supervised({ upTo: 9n, prepare, open: () => Effect.succeed(Stream.never) })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* it.phase, "standby")
      assert.isAbove(it.prepared(), 1_000)
      yield* Ref.set(held, false)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* it.phase, "caught up")
    }))

  it.effect("gives the table back when its generation ends", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => Effect.succeed(Stream.never) })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(it.released(), 0)
      yield* Fiber.interrupt(it.fiber)
      assert.strictEqual(it.released(), 1)
    }))
})
