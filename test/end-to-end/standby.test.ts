import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { holdsCanonicalChain, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

const tables = ["blocks", "transactions", "logs"] as const

const startReplica = (world: World) => startAmpsync({ ...world.environment, STANDBY: "1", HEALTH_PORT: "0" })

const begun = (replica: AmpsyncProcess) => replica.prints("Checkpoint tracking initialized")

/** The one process that holds every table; undefined while that is not so. */
const atWork = (world: World) =>
  Effect.map(
    world.database.query<{ writer: string | null }>(
      "SELECT DISTINCT writer FROM _ampsync_checkpoints c WHERE (SELECT count(*) FROM _ampsync_checkpoints) = $1",
      [tables.length]
    ),
    (rows) => rows.length === 1 ? Number(/ pid (\d+) /.exec(rows[0]!.writer ?? "")?.[1]) : undefined
  )

const complete = (world: World, replicas: ReadonlyArray<AmpsyncProcess>) =>
  eventually(
    () => `the tables hold the chain:\n${replicas.map((replica) => replica.output().slice(-2000)).join("\n---\n")}`,
    holdsCanonicalChain(world, tables)
  )

const pick = Effect.fnUntraced(function*(world: World, replicas: ReadonlyArray<AmpsyncProcess>) {
  yield* eventually(
    () => `one of them holds every table:\n${replicas.map((replica) => replica.output().slice(-2000)).join("\n---\n")}`,
    Effect.map(atWork(world), (pid) => replicas.some((replica) => replica.pid === pid))
  )
  const pid = yield* atWork(world)
  const active = replicas.find((replica) => replica.pid === pid)!
  return { active, spare: replicas.find((replica) => replica !== active)! }
})

const readiness = (replica: AmpsyncProcess) =>
  Effect.promise(async () => {
    const address = /Health endpoints: (http:\S+?)"?\s/.exec(replica.output())?.[1]
    return (await fetch(`${address?.replace("0.0.0.0", "127.0.0.1")}/readyz`)).status
  })

describe("two processes with STANDBY", () => {
  it.live(
    "I3 that start at once work one at a time: the other is ready, and takes over all tables when the first is killed, frozen or stopped",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 40 })
        const observation = yield* watchSnapshots(world)
        const replicas = [yield* startReplica(world), yield* startReplica(world)]
        yield* Effect.forEach(replicas, begun)
        const first = yield* pick(world, replicas)
        yield* first.spare.prints("is at work, and this process takes over all tables when it falls silent (STANDBY)")
        yield* complete(world, replicas)
        yield* eventually("the standby is ready", Effect.map(readiness(first.spare), (status) => status === 200))
        yield* first.active.kill("SIGKILL")
        world.simulator.reorg(3)
        const third = yield* startReplica(world)
        const second = yield* pick(world, [first.spare, third])
        yield* complete(world, [first.spare, third])
        // It wakes up when the other is at work.
        yield* second.active.kill("SIGSTOP")
        world.simulator.mine(2)
        yield* eventually(
          "the other takes over",
          Effect.map(atWork(world), (pid) => pid === second.spare.pid)
        )
        yield* second.active.kill("SIGCONT")
        world.simulator.reorg(2)
        yield* complete(world, [second.spare, second.active])
        assert.strictEqual(yield* atWork(world), second.spare.pid)
        yield* second.spare.kill("SIGTERM")
        world.simulator.mine(1)
        yield* eventually("it works again", Effect.map(atWork(world), (pid) => pid === second.active.pid))
        yield* complete(world, [second.active])
        assert.deepStrictEqual(yield* observation.violations, [])
      })
  )
})
