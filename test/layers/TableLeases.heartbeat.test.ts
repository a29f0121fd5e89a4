import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { preparedWriter, tableState } from "../support/bookkeeping.ts"
import { prepareTable } from "../support/chunks.ts"
import { reachableDirectory, startCluster } from "../support/cluster.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import { BLOCK, commitRows, processOn, requestOf } from "../support/sinkBench.ts"

/** The server's sessions that run a heartbeat of a process. */
const atWork = ({ query }: TestDatabase, writer: string) =>
  Effect.map(
    query("SELECT FROM pg_stat_activity WHERE state = 'active' AND strpos(query, $1) > 0 AND pid <> pg_backend_pid()", [
      `'${writer}', clock_timestamp()`
    ]),
    (rows) => rows.length
  )

describe("a heartbeat", () => {
  it.live("that is given up while another session has locked its row leaves no session in the server", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { leases } = yield* preparedWriter(database)
      yield* holdLock(database, "SELECT FROM _ampsync_writers FOR UPDATE")
      yield* Effect.exit(Effect.timeout(leases.heartbeat, "200 millis"))
      yield* eventually(
        "the server has ended it",
        Effect.map(atWork(database, leases.writer), (count) => count === 0),
        3_000
      )
      assert.include((yield* Effect.flip(leases.heartbeat)).message, "55P03")
    }))

  it.live("behind one that is still at work in the server ends at once, so that they do not pile up", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { leases } = yield* preparedWriter(database)
      const earlier = yield* holdLock(
        database,
        `SELECT pg_advisory_xact_lock(hashtextextended('ampsync heartbeat ${leases.writer}', 0))`
      )
      const error = yield* Effect.flip(Effect.timeout(leases.heartbeat, "900 millis"))
      assert.include(error.message, "an earlier heartbeat is still at work in the server")
      yield* earlier.release
      yield* leases.heartbeat
    }))
})

describe("while the synchronous standby of the server is away", () => {
  it.live("heartbeats and reports are recorded, and the session of a COMMIT that was given up is ended for the next attempt", () =>
    Effect.gen(function*() {
      const { database } = yield* startCluster(yield* reachableDirectory)
      const { bookkeeping, leases, sink } = yield* processOn(database, {}, { stallMillis: 1_000 })
      yield* bookkeeping.ensure
      const writer = yield* prepareTable(sink, requestOf("t", [BLOCK]))
      yield* database.query("ALTER SYSTEM SET synchronous_standby_names = 'away'")
      yield* database.query("SELECT pg_reload_conf()")
      const waiting = Effect.map(
        database.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
        (rows) => rows.length
      )
      assert.include((yield* Effect.flip(commitRows(writer, [BLOCK], [[1n]]))).message, "COMMIT was not answered")
      const repeated = Effect.all([
        bookkeeping.reportReload({ reason: undefined, ageMillis: 0 }),
        bookkeeping.report([tableState("t", "retrying")]),
        leases.heartbeat
      ])
      yield* Effect.timeout(repeated, "10 seconds")
      assert.strictEqual(yield* waiting, 1)
      // What the next attempt does where the row of its table is locked.
      assert.strictEqual(yield* leases.evictStale("t"), 1)
      yield* eventually("it is gone", Effect.map(waiting, (count) => count === 0))
    }))
})
