import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { emptyCheckpoint } from "../../src/domain/chain/Checkpoint.ts"
import { sessionName } from "../../src/layers/table-leases/sessionName.ts"
import {
  advanced,
  at,
  change,
  expireHeartbeats,
  fenceAndAdvance,
  identity,
  isInTransaction,
  leased,
  preparedWriter,
  sessionOf,
  stored,
  tableState,
  type Writer
} from "../support/bookkeeping.ts"
import { eventually } from "../support/eventually.ts"
import { lockHolder } from "../support/holdLock.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"

describe("a lease", () => {
  it.live("of a new table holds nothing, and the next one holds what was recorded", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      assert.deepInclude(lease, {
        recorded: undefined,
        epoch: 1n,
        commitSeq: 0n,
        rows: 0n,
        checkpoint: emptyCheckpoint
      })
      yield* database.query("CREATE TABLE logs ()")
      const after = yield* advanced(writer, lease, change([at(9n)], { provisionalRows: 3n }))
      const again = yield* leased(writer, "logs")
      assert.deepInclude(again, {
        recorded: { fingerprint: "f1", positionColumn: "_block_num", version: "0.1.0" },
        epoch: 2n,
        commitSeq: 1n,
        rows: 10n,
        provisionalRows: 3n,
        checkpoint: { network: "anvil", origin: 0n, history: [at(9n)], unverifiedFrom: undefined }
      })
      assert.strictEqual(after.commitSeq, 1n)
    }))

  it.live("I3 is not granted while its holder is alive, and granted once it released the table or its heartbeat stopped", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const lease = yield* leased(first, "logs")
      const held = yield* Effect.flip(leased(second, "logs"))
      assert.strictEqual(held._tag, "TableHeld")
      yield* first.leases.release("logs")
      const taken = yield* leased(second, "logs")
      assert.strictEqual(taken.epoch, lease.epoch + 1n)
      assert.strictEqual((yield* Effect.flip(leased(first, "logs")))._tag, "TableHeld")
      yield* expireHeartbeats(database, first)
      assert.strictEqual((yield* leased(first, "logs")).epoch, lease.epoch + 2n)
      // Only the holder can release it.
      yield* second.leases.release("logs")
      assert.isNotNull((yield* stored(database, "logs"))?.["writer"])
    }))

  it.live("I3 that another process takes over is lost to its living holder, who gets it back once it is released", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const held = yield* advanced(first, yield* leased(first, "logs"), change([at(9n)]))
      const owner = identity("logs")
      const lease = yield* second.leases.transaction("logs", second.leases.takeOver(owner))
      assert.deepStrictEqual([lease.epoch, lease.checkpoint.history], [held.epoch + 1n, [at(9n)]])
      assert.strictEqual((yield* Effect.flip(advanced(first, held, change([at(9n), at(10n)]))))._tag, "Fenced")
      assert.strictEqual((yield* Effect.flip(leased(first, "logs")))._tag, "TableHeld")
      yield* second.leases.release("logs")
      assert.deepInclude(yield* leased(first, "logs"), { epoch: lease.epoch + 1n })
      const other = { ...owner, dataset: "_/other" }
      yield* database.query("CREATE TABLE logs ()")
      const rejected = yield* Effect.flip(second.leases.transaction("logs", second.leases.takeOver(other)))
      assert.strictEqual(rejected._tag, "TableRejected")
    }))

  it.live("I3 of a dead writer whose heartbeat lies in the future, by the clock of a lost server, is granted to the next", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(first, "blocks")
      yield* first.bookkeeping.report([tableState("blocks", "caught up")])
      yield* database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at + interval '1 hour'")
      const [progress] = yield* database.query("SELECT state FROM _ampsync_progress WHERE table_name = 'blocks'")
      assert.strictEqual(progress?.["state"], "offline")
      const lease = yield* leased(second, "blocks")
      assert.strictEqual(lease.epoch, 2n)
      // The heartbeat of a live writer is back within seconds, and counts again.
      yield* second.leases.heartbeat
      assert.strictEqual((yield* Effect.flip(leased(first, "blocks")))._tag, "TableHeld")
    }))

  it.live("I3 that a server lost with its last transactions is fenced, also once the same process has committed as often again", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const first = yield* advanced(writer, yield* leased(writer, "logs"), change([at(9n)]))
      const lost = yield* advanced(writer, yield* leased(writer, "logs"), change([at(9n), at(19n)]))
      // What a promoted replica has.
      yield* database.query("UPDATE _ampsync_checkpoints SET writer_epoch = $1, commit_seq = $2", [
        first.epoch,
        first.commitSeq
      ])
      const again = yield* advanced(writer, yield* leased(writer, "logs"), change([at(9n), at(19n, 1)]))
      assert.strictEqual(again.commitSeq, lost.commitSeq)
      const late = writer.leases.transaction("logs", writer.leases.fence(lost))
      assert.strictEqual((yield* Effect.flip(late))._tag, "Fenced")
    }))

  it.live("I3 is not granted, without waiting, while its live holder is in a long transaction", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const lease = yield* leased(first, "logs")
      const long = yield* Effect.forkScoped(
        first.leases.transaction("logs", Effect.andThen(fenceAndAdvance(first, lease, change([at(1n)])), Effect.never))
      )
      yield* eventually("the transaction runs", isInTransaction(database, sessionOf(first.leases, "logs")))
      // The lock is never released: waiting for it would not end.
      assert.strictEqual((yield* Effect.flip(leased(second, "logs")))._tag, "TableHeld")
      yield* Fiber.interrupt(long)
    }))

  it.live("of a table that another dataset fills is not granted, unless that table was dropped", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      yield* leased(writer, "logs", { dataset: "_/theirs" })
      yield* database.query("CREATE TABLE logs ()")
      const error = yield* Effect.flip(leased(writer, "logs"))
      assert.strictEqual(error._tag, "TableRejected")
      assert.include(error.message, "_/theirs")
      yield* database.query("DROP TABLE logs")
      const lease = yield* leased(writer, "logs", { positionColumn: "block_num" })
      assert.isDefined(lease.recorded, "the checkpoint of the old table is still to be forgotten")
      const forgotten = yield* writer.pool.transaction("test", writer.checkpoints.forget(lease, 0n))
      assert.deepInclude(forgotten, {
        checkpoint: emptyCheckpoint
      })
      assert.strictEqual((yield* leased(writer, "logs")).recorded?.positionColumn, "block_num")
    }))

  it.live("of a table that was leased and never filled is granted to the next dataset", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const { checkpoints, leases, pool } = writer
      yield* pool.transaction("test", leases.acquire(identity("logs", "_/theirs")))
      yield* database.query("CREATE TABLE logs ()")
      const stored = Effect.map(checkpoints.load("logs"), Option.getOrThrow)
      assert.deepInclude(yield* stored, { dataset: "_/theirs", recorded: undefined, tableExists: true })
      assert.isUndefined((yield* leased(writer, "logs")).recorded)
      assert.strictEqual((yield* stored).dataset, "_/example")
      assert.strictEqual((yield* stored).recorded?.positionColumn, "_block_num")
      assert.isTrue(Option.isNone(yield* checkpoints.load("blocks")))
    }))

  it.live("I3 that was lost records nothing of the table", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const old = yield* leased(first, "logs")
      yield* expireHeartbeats(database, second)
      yield* leased(second, "logs")
      const before = yield* database.query("SELECT * FROM _ampsync_checkpoints")
      const record = first.checkpoints.record(old, { ...identity("logs"), fingerprint: "f2" })
      assert.strictEqual((yield* Effect.flip(first.pool.transaction("test", record)))._tag, "Fenced")
      assert.deepStrictEqual(yield* database.query("SELECT * FROM _ampsync_checkpoints"), before)
    }))
})

describe("a session that hangs in a transaction", () => {
  it.live(
    "I3 is ended when its writer is stale; that of another table or of a live writer is not",
    () =>
      Effect.gen(function*() {
        const database = yield* testDatabase
        const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
        const names = ["logs", "blocks"]
        const hanging = yield* Effect.forEach(names, (name) =>
          Effect.gen(function*() {
            const lease = yield* leased(first, name)
            const fiber = yield* Effect.forkScoped(
              Effect.exit(
                first.leases.transaction(
                  name,
                  Effect.andThen(fenceAndAdvance(first, lease, change([at(1n)])), Effect.never)
                )
              )
            )
            yield* eventually("it hangs", isInTransaction(database, sessionOf(first.leases, name)))
            return fiber
          }))
        assert.strictEqual(yield* second.leases.evictStale("logs"), 0, "its writer is alive")
        assert.isTrue(yield* isInTransaction(database, sessionOf(first.leases, "logs")))
        yield* expireHeartbeats(database, second)
        assert.strictEqual(yield* second.leases.evictStale("logs"), 1)
        yield* eventually(
          "the session is gone",
          Effect.map(isInTransaction(database, sessionOf(first.leases, "logs")), (there) => !there)
        )
        assert.isTrue(yield* isInTransaction(database, sessionOf(first.leases, "blocks")))
        assert.strictEqual((yield* leased(second, "logs")).epoch, 2n)
        yield* Effect.forEach(hanging, (fiber) => Fiber.interrupt(fiber))
      }),
    40_000
  )

  it.live("I3 that hangs in the build of an index, and nothing else, is ended where that is asked for", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* database.query("CREATE TABLE logs ()")
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(first, "logs")
      const held = (mode: string) =>
        Effect.map(lockHolder(database, "logs", mode), (processId) => processId !== undefined)
      for (const mode of ["SHARE", "SHARE UPDATE EXCLUSIVE"]) {
        yield* Effect.forkScoped(Effect.exit(
          first.leases.withDedicatedConnection(
            "logs",
            (run) => Effect.andThen(run(`BEGIN; LOCK TABLE ${database.schema}.logs IN ${mode} MODE`), Effect.never)
          )
        ))
        if (mode === "SHARE") {
          yield* eventually("a build has locked the table", held("ShareLock"))
          assert.strictEqual(yield* second.leases.evictBuild("blocks"), 0)
          // A process that was stopped has a fresh heartbeat.
          assert.strictEqual(yield* second.leases.evictBuild("logs"), 1)
          yield* eventually("the build is gone", Effect.map(held("ShareLock"), (isHeld) => !isHeld))
        }
      }
      // As a concurrent build does, which keeps nobody from writing.
      yield* eventually("another has locked it", held("ShareUpdateExclusiveLock"))
      assert.strictEqual(yield* second.leases.evictBuild("logs"), 0)
    }))

  it.live("I3 is ended too when its writer hangs while it acquires the lease", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(first, "logs")
      yield* first.leases.release("logs")
      const { leases } = first
      yield* Effect.forkScoped(Effect.exit(
        leases.transaction("logs", Effect.andThen(leases.acquire(identity("logs")), Effect.never))
      ))
      yield* eventually("the lease hangs", isInTransaction(database, sessionOf(leases, "logs")))
      yield* expireHeartbeats(database, second)
      assert.strictEqual(yield* second.leases.evictStale("logs"), 1)
      assert.strictEqual((yield* leased(second, "logs")).epoch, 2n)
    }))

  it.live("I3 is found under table names of any length and alphabet, and never under another's", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const prefix = "x".repeat(60)
      const names = [`${prefix}aaa`, `${prefix}aab`, "журнал событий", "журнал переводов", "a\"b'c\\d", "ünïcödé"]
      assert.strictEqual(new Set(names.map((name) => sessionOf(writer.leases, name))).size, names.length)
      for (const name of names) {
        const seen = yield* writer.leases.transaction(
          name,
          Effect.andThen(
            writer.pool.sql.unsafe("SELECT pg_current_xact_id()"),
            isInTransaction(database, sessionOf(writer.leases, name))
          )
        )
        assert.isTrue(seen, name)
      }
      assert.strictEqual(sessionName("0badcafe", "logs"), "ampsync 0badcafe logs")
    }))
})

describe("a reservation", () => {
  const owners = ["blocks", "logs"].map((table) => ({ table, dataset: "_/example" }))
  const held = (database: TestDatabase) =>
    Effect.map(
      database.query<{ table_name: string; writer: string | null }>(
        "SELECT table_name, writer FROM _ampsync_checkpoints"
      ),
      (rows) => new Set(rows.map(({ writer }) => writer))
    )

  it.live("I3 takes all tables or none, those that no process wrote before included", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      assert.isUndefined(yield* first.leases.reserve(owners))
      assert.deepStrictEqual(yield* held(database), new Set([first.leases.writer]))
      assert.isUndefined(yield* first.leases.reserve(owners), "a second one changes nothing")
      assert.strictEqual((yield* leased(first, "logs")).epoch, 2n)
      assert.strictEqual(yield* second.leases.reserve(owners), first.leases.writer)
      yield* first.leases.release("logs")
      // One table of the other process is enough.
      assert.strictEqual(yield* second.leases.reserve(owners), first.leases.writer)
      yield* expireHeartbeats(database, second)
      assert.isUndefined(yield* second.leases.reserve(owners))
      assert.deepStrictEqual(yield* held(database), new Set([second.leases.writer]))
      // The one before had released this table, and not that one.
      assert.isUndefined((yield* leased(second, "logs")).takenFrom)
      const { takenFrom } = yield* leased(second, "blocks")
      assert.deepInclude(takenFrom, { _tag: "Silent", writer: first.leases.writer })
      const lastHeartbeat = takenFrom?._tag === "Silent" ? takenFrom.lastHeartbeat : undefined
      assert.match(lastHeartbeat ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.isUndefined((yield* leased(second, "blocks")).takenFrom, "it is taken once")
    }))

  it.live("names the process that had a table in between, also where it released the table before anybody asked", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const takenFrom = (writer: Writer, table: string) => Effect.map(leased(writer, table), (lease) => lease.takenFrom)
      yield* takenFrom(first, "logs")
      yield* first.leases.release("logs")
      yield* first.leases.reserve(owners)
      yield* first.leases.release("logs")
      assert.isUndefined(yield* takenFrom(first, "logs"), "nobody had it in between")
      yield* leased(first, "blocks")
      yield* expireHeartbeats(database, second)
      yield* second.leases.reserve(owners)
      yield* takenFrom(second, "logs")
      for (const table of ["logs", "blocks"]) yield* second.leases.release(table)
      assert.deepStrictEqual(yield* takenFrom(first, "logs"), { _tag: "Released" })
      assert.isUndefined(yield* first.leases.reserve(owners))
      assert.deepStrictEqual(yield* takenFrom(first, "blocks"), { _tag: "Released" }, "it was only reserved in between")
      assert.isUndefined(yield* takenFrom(first, "logs"))
      assert.isUndefined(yield* takenFrom(first, "blocks"))
    }))

  it.live("lets a process go on that holds one of the tables, where a resync has taken over another", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [working, reserve, resync] = [
        yield* preparedWriter(database),
        yield* preparedWriter(database),
        yield* preparedWriter(database)
      ]
      assert.isUndefined(yield* working.leases.reserve(owners))
      yield* resync.leases.takeOver(owners[0]!)
      assert.isUndefined(yield* working.leases.reserve(owners))
      assert.isDefined(yield* reserve.leases.reserve(owners))
      assert.deepStrictEqual(yield* held(database), new Set([working.leases.writer, resync.leases.writer]))
    }))

  it.live("I3 of many processes at once is granted to one of them", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writers = yield* Effect.forEach(Array.from({ length: 4 }), () => preparedWriter(database))
      // Each asks for the tables in an order of its own.
      const answers = yield* Effect.forEach(
        writers,
        ({ leases }, index) => leases.reserve(index % 2 === 0 ? owners : owners.toReversed()),
        { concurrency: "unbounded" }
      )
      const granted = writers.filter((_, index) => answers[index] === undefined)
      assert.lengthOf(granted, 1)
      assert.deepStrictEqual(yield* held(database), new Set([granted[0]!.leases.writer]))
    }))

  it.live("leaves a table of another dataset, which is rejected later, to the process that writes it", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(first, "logs", { dataset: "_/other" })
      assert.isUndefined(yield* second.leases.reserve(owners))
      const rows = yield* database.query("SELECT writer FROM _ampsync_checkpoints WHERE table_name = 'logs'")
      assert.deepStrictEqual(rows, [{ writer: first.leases.writer }])
    }))

  it.live("neither waits for a transaction on a table that this process holds, nor ends it", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "blocks", { dataset: "_/example" })
      // As the deletion of a long reorg.
      const deleting = yield* Effect.forkScoped(
        writer.leases.transaction("blocks", Effect.andThen(writer.leases.fence(lease), Effect.never))
      )
      yield* eventually("it is under way", isInTransaction(database, sessionOf(writer.leases, "blocks")))
      assert.isUndefined(yield* writer.leases.reserve(owners))
      assert.deepStrictEqual(yield* held(database), new Set([writer.leases.writer]))
      assert.isTrue(yield* isInTransaction(database, sessionOf(writer.leases, "blocks")))
      yield* Fiber.interrupt(deleting)
    }))

  it.live(
    "I3 ends what a dead writer left hanging on a table, and nothing of this process on another",
    () =>
      Effect.gen(function*() {
        const database = yield* testDatabase
        const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
        const [lost, own] = [
          yield* leased(first, "logs", { dataset: "_/example" }),
          yield* leased(second, "blocks", { dataset: "_/example" })
        ]
        const hang = Effect.fnUntraced(function*({ leases }: typeof first, lease: typeof own) {
          yield* Effect.forkScoped(Effect.exit(
            leases.transaction(lease.table, Effect.andThen(leases.fence(lease), Effect.never))
          ))
          yield* eventually("it is under way", isInTransaction(database, sessionOf(leases, lease.table)))
        })
        yield* hang(first, lost)
        yield* hang(second, own)
        yield* expireHeartbeats(database, second)
        yield* Effect.ignore(second.leases.reserve(owners))
        yield* eventually(
          "what the dead writer left is gone",
          Effect.map(isInTransaction(database, sessionOf(first.leases, "logs")), (there) => !there)
        )
        assert.isTrue(yield* isInTransaction(database, sessionOf(second.leases, "blocks")))
        assert.isUndefined(yield* second.leases.reserve(owners))
      }),
    40_000
  )
})
