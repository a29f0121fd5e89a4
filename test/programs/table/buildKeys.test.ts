import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Result, SubscriptionRef } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { noSettings } from "../../../src/domain/manifest/TableSettings.ts"
import { makeTableSpec } from "../../../src/domain/manifest/TableSpec.ts"
import type { TableDefinition } from "../../../src/domain/postgres/table/tableDdl.ts"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import { buildKeys } from "../../../src/programs/table/buildKeys.ts"
import { makeTableSession, type SharedByTables } from "../../../src/programs/table/TableSession.ts"
import { StatusRecorder, SyncStatus } from "../../../src/services/SyncStatus.ts"
import { type IndexEvent, TableIndexes, type WhileAtRest } from "../../../src/services/TableIndexes.ts"
import { TableRejected } from "../../../src/services/TableLeases.ts"
import { recordedLog } from "../../doubles/Log.ts"
import { committed } from "../../doubles/statusEvents.ts"

const table = Result.getOrThrow(makeTableSpec("t", "SELECT a FROM b.c", noSettings))

const definition: TableDefinition = {
  schema: "s",
  table: "t",
  columns: [{ name: "_block_num", type: "bigint", nullable: false }],
  positionColumn: "_block_num",
  primaryKey: undefined,
  comment: undefined
}

const locked = new SqlError.SqlError({
  reason: new SqlError.LockTimeoutError({ operation: "LOCK", cause: "", message: "it is locked" })
})

type Attempt = (
  whileAtRest: WhileAtRest,
  onEvent: (event: IndexEvent) => Effect.Effect<void>
) => Effect.Effect<void, SqlError.SqlError | TableRejected>

/** Lets everything happen that needs no time. */
const moment = Effect.repeat(TestClock.adjust("1 millis"), { times: 20 })

/** A table that has caught up without keys, whose builds are `attempts`, one after the other. */
const bench = (...attempts: ReadonlyArray<Attempt>) =>
  Effect.gen(function*() {
    const { layer: logging, lines } = recordedLog()
    let [begun, watermark] = [0, 9n]
    const lost = { isLost: false }
    const indexes = TableIndexes.of({
      plan: () => Effect.die("it builds keys"),
      build: () => Effect.die("it builds keys"),
      buildDeferred: (_, whileAtRest, onEvent) =>
        Effect.suspend(() => Effect.as(attempts[begun++]!(whileAtRest, onEvent), Option.none())),
      lacksKeys: () => Effect.sync(() => lost.isLost),
      summarize: () => Effect.void,
      dropFull: () => Effect.succeedNone
    })
    const services = yield* Layer.build(Layer.mergeAll(Layer.succeed(TableIndexes, indexes), logging, statusLayer))
    return yield* Effect.gen(function*() {
      const [recorder, status] = [yield* StatusRecorder, yield* SyncStatus]
      const session = yield* makeTableSession(table, Effect.die("no attempt runs"), { held: {} } as SharedByTables)
      yield* SubscriptionRef.set(session.deferred, definition)
      yield* recorder.record("t", { _tag: "Started" })
      yield* recorder.record("t", { _tag: "CaughtUp", isDeferred: true })
      yield* Deferred.succeed(session.caughtUp, undefined)
      yield* SubscriptionRef.set(session.isWriter, true)
      yield* Effect.forkScoped(Effect.provideContext(buildKeys(session), services))
      yield* moment
      const state = Effect.map(status.get, (all) => [all.get("t")?.phase, all.get("t")?.reason])
      const commit = Effect.suspend(() => recorder.record("t", committed({ watermark: ++watermark })))
      return { session, lines, state, lost, commit, begun: () => begun }
    }).pipe(Effect.provideContext(services))
  })

const KEY = { name: "t_key", columns: ["_block_num"] }

describe("the build of the keys of a table", () => {
  it.effect("shows what it waits for as long as it does, and that it is at work", () =>
    Effect.gen(function*() {
      const [isFree, isBuilt] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const it = yield* bench(
        Effect.fnUntraced(function*(_, onEvent) {
          yield* onEvent({ kind: "queued" })
          yield* Deferred.await(isFree)
          yield* onEvent({ ...KEY, kind: "building" })
          yield* onEvent({ kind: "waiting", processId: 42 })
          return yield* locked
        }),
        Effect.fnUntraced(function*(_, onEvent) {
          yield* onEvent({ ...KEY, kind: "building" })
          yield* Deferred.await(isBuilt)
          yield* onEvent({ ...KEY, kind: "built" })
        })
      )
      assert.deepStrictEqual(yield* it.state, ["building indexes", "the indexes of other tables are being built first"])
      yield* Deferred.succeed(isFree, undefined)
      yield* TestClock.adjust("500 millis")
      const waits = "the build of its indexes waits for the transaction of server process 42"
      assert.deepStrictEqual(yield* it.state, ["building indexes", waits])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(it.begun(), 2)
      assert.deepStrictEqual(yield* it.state, ["building indexes", undefined])
      yield* Deferred.succeed(isBuilt, undefined)
      yield* moment
      assert.deepStrictEqual(yield* it.state, ["caught up", undefined])
      const log = it.lines.join("\n")
      assert.include(log, "building index t_key; its new blocks wait until it is built")
      assert.include(log, "Table 't' has its primary key and its indexes now")
      assert.isUndefined(yield* SubscriptionRef.get(it.session.deferred))
    }))

  it.effect("has the turn of its table while it is at work, and gives it back for a time where it fails", () =>
    Effect.gen(function*() {
      const atWork = yield* Deferred.make<void>()
      const attempt: Attempt = (whileAtRest) => whileAtRest(Effect.andThen(Deferred.await(atWork), Effect.fail(locked)))
      const { session } = yield* bench(attempt, () => Effect.never)
      const writer = yield* Effect.forkScoped(session.turn.write(Effect.void))
      yield* moment
      assert.isUndefined(writer.pollUnsafe())
      assert.isTrue(session.turn.isBuilding())
      yield* Deferred.succeed(atWork, undefined)
      yield* Fiber.join(writer)
      assert.isFalse(session.turn.isBuilding())
    }))

  it.effect("lets the rows in for as long as they waited, where it fails late", () =>
    Effect.gen(function*() {
      const attempt: Attempt = (whileAtRest) =>
        whileAtRest(Effect.andThen(Effect.sleep("2 hours"), Effect.fail(locked)))
      const it = yield* bench(attempt, () => Effect.never)
      yield* TestClock.adjust("2 hours")
      yield* TestClock.adjust("110 minutes")
      assert.strictEqual(it.begun(), 1)
      yield* TestClock.adjust("12 minutes")
      assert.strictEqual(it.begun(), 2)
    }))

  it.effect("logs a process that it waits for once, however often it tries", () =>
    Effect.gen(function*() {
      const attempt: Attempt = (_, onEvent) =>
        Effect.andThen(onEvent({ kind: "waiting", processId: 42 }), Effect.fail(locked))
      const it = yield* bench(attempt, attempt, attempt, () => Effect.never)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(it.begun(), 4)
      assert.lengthOf(it.lines.filter((line) => line.includes("server process 42")), 1)
      assert.lengthOf(it.lines.filter((line) => line.includes("an index could not be built, trying again")), 3)
    }))

  it.effect("is interrupted while another process writes the table, and begins again when that is over", () =>
    Effect.gen(function*() {
      const it = yield* bench((whileAtRest) => whileAtRest(Effect.never), () => Effect.never)
      assert.isTrue(it.session.turn.isBuilding())
      // Attempts follow each other while a build is at work.
      yield* SubscriptionRef.set(it.session.isWriter, true)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(it.begun(), 1)
      yield* SubscriptionRef.set(it.session.isWriter, false)
      yield* TestClock.adjust("1 minute")
      assert.isFalse(it.session.turn.isBuilding())
      assert.strictEqual(it.begun(), 1)
      yield* SubscriptionRef.set(it.session.isWriter, true)
      yield* moment
      assert.strictEqual(it.begun(), 2)
    }))

  it.effect("builds them again where the database lost them and no chunk, which the next chunk shows", () =>
    Effect.gen(function*() {
      const it = yield* bench(() => Effect.void, () => Effect.never)
      it.lost.isLost = true
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(it.begun(), 1)
      yield* it.commit
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(it.begun(), 2)
      assert.include(it.lines.join("\n"), "Table 't' has no keys any more")
      assert.strictEqual(yield* SubscriptionRef.get(it.session.deferred), definition)
    }))

  it.effect("leaves them alone where they are there after the next chunk", () =>
    Effect.gen(function*() {
      const it = yield* bench(() => Effect.void, () => Effect.never)
      yield* it.commit
      yield* TestClock.adjust("10 seconds")
      it.lost.isLost = true
      yield* it.commit
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(it.begun(), 1)
      // A new attempt finds out whether they are.
      yield* SubscriptionRef.set(it.session.deferred, definition)
      yield* moment
      assert.strictEqual(it.begun(), 2)
    }))

  it.effect("ends the sync of a table whose keys are impossible", () =>
    Effect.gen(function*() {
      const impossible = new TableRejected({ table: "t", reason: "no" })
      const attempt: Attempt = (whileAtRest) =>
        whileAtRest(Effect.andThen(Effect.sleep("1 hour"), Effect.fail(impossible)))
      const { begun, session } = yield* bench(attempt)
      const parked = yield* Effect.forkScoped(Effect.flip(Deferred.await(session.impossibleKeys)))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(parked), impossible)
      assert.strictEqual(begun(), 1)
    }))
})
