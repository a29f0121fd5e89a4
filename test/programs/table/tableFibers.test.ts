import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream, SubscriptionRef } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import type { ActiveConfig } from "../../../src/programs/reload/ActiveConfig.ts"
import { makeTableFibers } from "../../../src/programs/table/tableFibers.ts"
import { AdminApi } from "../../../src/services/AdminApi.ts"
import { SyncStatus } from "../../../src/services/SyncStatus.ts"
import { TableIndexes } from "../../../src/services/TableIndexes.ts"
import { Fenced, TableHeld, TableRejected } from "../../../src/services/TableLeases.ts"
import { type TableRequest, TableSink } from "../../../src/services/TableSink.ts"
import { activeConfigOf } from "../../doubles/activeConfig.ts"
import { leaseOf, tableLeases } from "../../doubles/bookkeeping.ts"
import { flightClient, flightError, type Messages } from "../../doubles/FlightClient.ts"
import { recordedLog } from "../../doubles/Log.ts"
import { recordedHead } from "../../doubles/SourceHead.ts"
import { recordedWriter } from "../../doubles/TableWriter.ts"
import { exampleManifest } from "../../support/exampleManifest.ts"
import { testSettings } from "../../support/testSettings.ts"
import { unreachableDatabase } from "../../support/unreachableDatabase.ts"

const noDatabase = new SqlError.SqlError({
  reason: new SqlError.ConnectionError({ message: "injected", operation: "connect", cause: "injected" })
})

/** Tables by name; another number means another query. What they read is not known, so a version changes none. */
const configOf = (tables: Readonly<Record<string, number>>, version = "0.1.0"): ActiveConfig => ({
  ...activeConfigOf(
    exampleManifest({
      network: "anvil",
      version,
      tables: Object.fromEntries(
        Object.entries(tables).map((
          [name, n]
        ) => [name, { sql: `SELECT block_num FROM anvil.blocks WHERE block_num > ${n}` }])
      )
    }),
    { dialect: "amp", namespace: "_", name: "example", version, tables: [] }
  ),
  sources: undefined
})

interface Script {
  readonly prepare?: (request: TableRequest) => Effect.Effect<void, TableRejected>
  readonly open?: Effect.Effect<Messages>
  readonly trim?: (asked: number) => Effect.Effect<number, SqlError.SqlError | Fenced | TableHeld | TableRejected>
}

/** The fibers of tables with doubles: the steps that each began and ended, in order. */
const fibers = Effect.fnUntraced(function*(script: Script) {
  const events: Array<string> = []
  const { layer: logging, lines } = recordedLog()
  let trims = 0
  const noted = <A, E>(what: string, work: Effect.Effect<A, E>) =>
    Effect.andThen(
      Effect.sync(() => events.push(`${what} begins`)),
      Effect.ensuring(work, Effect.sync(() => events.push(`${what} ends`)))
    )
  const services = yield* Layer.build(Layer.mergeAll(
    Layer.mock(AdminApi, {}),
    Layer.mock(TableIndexes, {}),
    recordedHead().layer,
    flightClient({ open: () => script.open ?? Effect.succeed(Stream.never) }),
    Layer.mock(TableSink, {
      acquire: ({ table }) => Effect.succeed(leaseOf(table)),
      prepare: (_, request) =>
        Effect.as(
          noted(`${request.table} of ${request.version}`, script.prepare?.(request) ?? Effect.void),
          recordedWriter().writer
        ),
      trim: (table) => noted(`trim of ${table}`, Effect.suspend(() => script.trim?.(trims++) ?? Effect.succeed(0)))
    }),
    tableLeases(),
    statusLayer,
    testSettings(unreachableDatabase)
  ))
  const within = <A, E, R>(work: Effect.Effect<A, E, R>) =>
    work.pipe(Effect.provideContext(services), Effect.provide(logging))
  const tables = yield* within(makeTableFibers)
  const status = yield* Effect.provideContext(SyncStatus, services)
  // What cannot be interrupted needs its time to end.
  yield* Effect.addFinalizer(() => TestClock.adjust("1 minute"))
  return {
    events,
    lines,
    /** Waits until the fibers that must end have ended. */
    apply: (next: ActiveConfig) =>
      Effect.tap(Effect.forkScoped(within(tables.apply(next))), () => TestClock.adjust("100 millis")),
    activeVersion: Effect.map(SubscriptionRef.get(tables.active), (active) => active?.info?.version),
    phases: Effect.map(status.get, (all) => Object.fromEntries([...all].map(([name, { phase }]) => [name, phase])))
  }
})

/** Work that cannot be interrupted, such as a transaction within its grace time. */
const twoSeconds = Effect.uninterruptible(Effect.sleep("2 seconds"))

describe("the fibers of tables", () => {
  it.effect("I3 of tables that change or go have ended before anything else is done to their tables", () =>
    Effect.gen(function*() {
      const it = yield* fibers({ prepare: ({ version }) => version === "0.1.0" ? twoSeconds : Effect.void })
      yield* it.apply(configOf({ a: 1, b: 1, c: 1 }))
      const applying = yield* it.apply(configOf({ a: 1, b: 2 }, "0.2.0"))
      assert.deepStrictEqual(it.events, ["a of 0.1.0 begins", "b of 0.1.0 begins", "c of 0.1.0 begins"])
      assert.strictEqual(yield* it.activeVersion, "0.1.0", "what still runs is of the earlier config")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(applying), {
        unchanged: 1,
        changed: 1,
        started: 0,
        removed: 1,
        retried: 0
      })
      for (const begins of ["b of 0.2.0 begins", "trim of c begins"]) {
        const ends = begins.replace("trim of c begins", "c of 0.1.0 ends").replace("0.2.0 begins", "0.1.0 ends")
        assert.isAbove(it.events.indexOf(begins), it.events.indexOf(ends), it.events.join())
        assert.include(it.events, ends)
      }
      assert.strictEqual(yield* it.activeVersion, "0.2.0")
    }))

  it.effect("that change end at the same time, and nothing of the next config is active before", () =>
    Effect.gen(function*() {
      const it = yield* fibers({ prepare: ({ version }) => version === "0.1.0" ? twoSeconds : Effect.void })
      yield* it.apply(configOf({ a: 1, b: 1, c: 1 }))
      yield* it.apply(configOf({ a: 2, b: 2, c: 2 }, "0.2.0"))
      yield* TestClock.adjust("1700 millis")
      assert.strictEqual(yield* it.activeVersion, "0.1.0")
      yield* TestClock.adjust("300 millis")
      assert.strictEqual(yield* it.activeVersion, "0.2.0")
      for (const name of ["a", "b", "c"]) assert.include(it.events, `${name} of 0.2.0 begins`)
    }))

  it.effect("I3 of a table that comes back waits until its provisional rows are gone", () =>
    Effect.gen(function*() {
      const it = yield* fibers({ trim: () => Effect.as(twoSeconds, 3) })
      yield* it.apply(configOf({ a: 1, b: 1 }))
      yield* it.apply(configOf({ a: 1 }))
      const applying = yield* it.apply(configOf({ a: 1, b: 1 }))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(applying)
      const of = it.events.filter((event) => /^b of|of b/.test(event) && event !== "b of 0.1.0 ends")
      assert.deepStrictEqual(of.slice(0, 4), [
        "b of 0.1.0 begins",
        "trim of b begins",
        "trim of b ends",
        "b of 0.1.0 begins"
      ])
    }))

  it.effect("of a removed table are deleted once the database is up, and the log reports those that cannot be deleted", () =>
    Effect.gen(function*() {
      const rejected = new TableRejected({ table: "b", reason: "it is not synced" })
      const fenced = new Fenced({ table: "b" })
      const held = new TableHeld({ table: "b", writer: "other pid 1" })
      for (
        const [last, line] of [
          [Effect.succeed(3), "Deleted 3 provisional rows from table 'b'"],
          [Effect.fail(rejected), `Table 'b' keeps its provisional rows: ${rejected.message}`],
          [Effect.fail(held), `Table 'b' keeps its provisional rows: ${held.message}`],
          [Effect.fail(fenced), `Table 'b' keeps its provisional rows: another process took over table "b"`],
          [Effect.die(new Error("a bug")), "Table 'b' keeps its provisional rows: Error: a bug"]
        ] as const
      ) {
        const it = yield* fibers({ trim: (asked) => asked < 5 ? Effect.fail(noDatabase) : last })
        yield* it.apply(configOf({ a: 1, b: 1 }))
        yield* it.apply(configOf({ a: 1 }))
        assert.deepStrictEqual(Object.keys(yield* it.phases), ["a"])
        yield* TestClock.adjust("1 hour")
        assert.isTrue(it.lines.some((found) => found.startsWith(line)), it.lines.join("\n"))
        assert.lengthOf(it.events.filter((event) => event === "trim of b begins"), 6)
      }
    }))

  it.effect("of tables that are the same go by the newest config from their next attempt on", () =>
    Effect.gen(function*() {
      const minute = Stream.fromEffect(Effect.andThen(Effect.sleep("1 minute"), Effect.fail(flightError())))
      const it = yield* fibers({ open: Effect.succeed(minute) })
      yield* it.apply(configOf({ a: 1 }))
      yield* it.apply(configOf({ a: 1 }, "0.2.0"))
      assert.notInclude(it.events, "a of 0.2.0 begins")
      yield* TestClock.adjust("70 seconds")
      assert.include(it.events, "a of 0.2.0 begins")
    }))

  it.effect("I4 that end by an internal error are parked, with a line of the log, and tried again with the next config", () =>
    Effect.gen(function*() {
      let broken = true
      const it = yield* fibers({
        prepare: ({ table }) => table === "b" && broken ? Effect.die(new Error("a bug")) : Effect.void
      })
      yield* it.apply(configOf({ a: 1, b: 1 }))
      assert.deepStrictEqual(yield* it.phases, { a: "catching up", b: "parked" })
      assert.isTrue(
        it.lines.some((line) => line.startsWith("Table 'b' stopped: internal error (please report it): Error: a bug"))
      )
      broken = false
      const applying = yield* it.apply(configOf({ a: 1, b: 1, c: 1 }))
      assert.deepInclude(yield* Fiber.join(applying), { unchanged: 1, retried: 1, started: 1 })
      assert.deepStrictEqual(yield* it.phases, { a: "catching up", b: "catching up", c: "catching up" })
    }))

  it.effect("that are tried again are no longer called parked while they prepare", () =>
    Effect.gen(function*() {
      let isRejected = true
      const it = yield* fibers({
        prepare: ({ table }) =>
          isRejected ? Effect.fail(new TableRejected({ table, reason: "injected" })) : Effect.never
      })
      yield* it.apply(configOf({ a: 1 }))
      // The stream is fine: the rejection comes from the table.
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* it.phases, { a: "parked" })
      isRejected = false
      yield* it.apply(configOf({ a: 1 }))
      assert.deepStrictEqual(yield* it.phases, { a: "starting" })
    }))
})
