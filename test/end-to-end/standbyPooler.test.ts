/** STANDBY behind a pooler that lends sessions by transaction: no lease and no heartbeat may depend on a session. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { assertAlwaysRight } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { pgbouncerUnavailable, startPgbouncer } from "../support/pgbouncer.ts"
import { watchSnapshots } from "../support/snapshots.ts"
import { atWork, begun, complete, pick, standsBy, startReserve, takesOver } from "../support/standby.ts"
import { startTransactionPooler } from "../support/transactionPooler.ts"
import { makeWorld, type World } from "../support/world.ts"

type Pooler = (url: string) => Effect.Effect<{ readonly port: number }, never, Scope.Scope>

/** Kills the process at work, then suspends and wakes up the next one; each time the other takes over, and every snapshot is right. */
const changeHands = Effect.fnUntraced(function*(start: Pooler) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 60, maxRangeBlocks: 20 })
  const snapshots = yield* watchSnapshots(world)
  const url = new URL(world.database.url)
  url.port = String((yield* start(world.database.url)).port)
  url.searchParams.set("sslmode", "disable")
  const startBehind = startReserve(world, { DATABASE_URL: url.href })

  const replicas = [yield* startBehind, yield* startBehind]
  yield* Effect.forEach(replicas, begun)
  const first = yield* pick(world, replicas)
  yield* standsBy(first.spare)
  yield* complete(world, replicas)
  yield* first.active.kill("SIGKILL")
  world.simulator.reorg(3)
  yield* takesOver(world, first.spare)
  const second = { active: first.spare, spare: yield* startBehind }
  yield* complete(world, [second.active])
  yield* standsBy(second.spare)

  // In the middle of a transaction, whose session the pooler keeps.
  yield* suspendInTransaction(world, second.active.kill)
  yield* takesOver(world, second.spare)
  yield* complete(world, [second.spare])
  yield* second.active.kill("SIGCONT")
  world.simulator.reorg(4)
  yield* complete(world, [second.spare, second.active])
  assert.strictEqual(yield* atWork(world), second.spare.pid)
  yield* assertAlwaysRight(world, snapshots)
  for (const { output } of [second.active, second.spare]) assert.notMatch(output(), /is parked/)
})

/** Suspends the process that `kill` is of while one of its transactions is open. */
const suspendInTransaction = Effect.fnUntraced(function*(
  world: World,
  kill: (signal: NodeJS.Signals) => Effect.Effect<void>
) {
  const { faults } = world.simulator
  faults.delayMillis = 40
  world.simulator.mine(40)
  yield* eventually(
    "it is in the middle of a transaction",
    Effect.gen(function*() {
      yield* kill("SIGSTOP")
      const open = yield* world.database.query(
        `SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE a.application_name = ANY (SELECT 'ampsync ' || substring(writer FROM '\\((.*)\\)$') || ' ' || table_name
           FROM _ampsync_checkpoints) AND a.backend_xid IS NOT NULL`
      )
      if (open.length > 0) return true
      yield* kill("SIGCONT")
      yield* Effect.sync(() => world.simulator.mine(1))
      return false
    })
  )
  faults.delayMillis = 0
})

describe.concurrent("two processes with STANDBY behind a pooler in transaction mode", () => {
  const title = "I3 take over from one that is killed, or suspended in a transaction, and no snapshot is wrong"

  it.live(title, () => changeHands((url) => startTransactionPooler(Number(new URL(url).port))), 180_000)

  it.live.skipIf(pgbouncerUnavailable !== undefined)(
    pgbouncerUnavailable === undefined ? `${title}: PgBouncer` : `${title} (skipped: ${pgbouncerUnavailable})`,
    () => changeHands(startPgbouncer),
    180_000
  )
})
