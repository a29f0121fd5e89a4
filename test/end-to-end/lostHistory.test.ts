/** A PostgreSQL that loses transactions it had confirmed: the sync continues from what is left, and no row is ever wrong. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { type Dialect, TABLE_NAMES } from "../../src/simulator/tables.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { type Cluster, copyCluster, reachableDirectory, startCluster, startReplica } from "../support/cluster.ts"
import { assertAlwaysRight } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { type Proxy, startProxy, throughProxy } from "../support/proxy.ts"
import { awaitCanonicalChain, Chains, watchSnapshots } from "../support/snapshots.ts"
import { standsBy } from "../support/standby.ts"
import { makeWorld, type World } from "../support/world.ts"

const dialects: ReadonlyArray<Dialect> = ["amp", "nozzle"]

/** Number of commits that the bookkeeping has recorded. */
const commits = ({ database }: Cluster) =>
  Effect.map(
    database.query<{ seq: string | null }>("SELECT sum(commit_seq) AS seq FROM _ampsync_checkpoints"),
    ([row]) => Number(row?.seq)
  )

/** A statement is given up after a minute; then its attempt is repeated. */
const GIVEN_UP_MILLIS = 180_000

/** The same world on another database. */
const on = (world: World, { database }: Cluster): World => ({ ...world, database })

/** For processes that reach the database through a proxy, whichever server is behind it. */
const environmentThrough = (world: World, { database }: Cluster, proxy: Proxy) => ({
  ...world.environment,
  DATABASE_URL: throughProxy(database.url, proxy),
  DATABASE_SCHEMA: database.schema
})

type Environment = Readonly<Record<string, string>>

/** Processes that sync `world`, once they are at work or stand by. */
type Start = (
  world: World,
  environment: Environment
) => Effect.Effect<ReadonlyArray<AmpsyncProcess>, never, Scope.Scope>

const startOne: Start = (world, environment) =>
  Effect.gen(function*() {
    const process = yield* startAmpsync(environment)
    yield* awaitCanonicalChain(world)
    return [process]
  })

const startTwo: Start = (world, environment) =>
  Effect.gen(function*() {
    const [first] = yield* startOne(world, environment)
    const second = yield* startAmpsync(environment)
    yield* second.prints("Standing by for table 'logs'")
    return [first!, second]
  })

const startReserves: Start = (world, environment) =>
  Effect.gen(function*() {
    const [first] = yield* startOne(world, { ...environment, STANDBY: "1" })
    const second = yield* startAmpsync({ ...environment, STANDBY: "1" })
    yield* standsBy(second)
    return [first!, second]
  })

/**
 * Ends a server whose replica lacks its last transactions, and leads the processes to the replica. With `isQuiet` no block comes
 * afterwards; with `isHung` nobody ends the connections to the server.
 */
const failOver = Effect.fnUntraced(function*(
  dialect: Dialect,
  start: Start,
  { isHung = false, isQuiet = false }: { readonly isHung?: boolean; readonly isQuiet?: boolean } = {}
) {
  const directory = yield* reachableDirectory
  const [home, copy] = [join(directory, "first"), join(directory, "second")]
  yield* Effect.scoped(startCluster(home))
  yield* copyCluster(home, copy)
  const primary = yield* startCluster(home)
  const replica = yield* startReplica(copy, primary)
  const proxy = yield* startProxy(primary.port)

  const world = yield* makeWorld({ dialect, blocks: 60, maxRangeBlocks: 20 })
  const [onPrimary, onReplica] = [on(world, primary), on(world, replica)]
  const chains = new Chains(world.simulator.chain)
  const before = yield* watchSnapshots(onPrimary, TABLE_NAMES, chains)
  const processes = yield* start(onPrimary, environmentThrough(world, primary, proxy))
  yield* awaitCanonicalChain(onReplica)

  yield* replica.database.query("ALTER SYSTEM RESET primary_conninfo")
  yield* replica.database.query("SELECT pg_reload_conf()")
  yield* eventually(
    "the replica receives nothing more",
    Effect.map(replica.database.query("SELECT FROM pg_stat_wal_receiver"), (rows) => rows.length === 0)
  )
  const kept = yield* commits(replica)
  world.simulator.mine(5)
  world.simulator.reorg(8)
  yield* awaitCanonicalChain(onPrimary)
  const made = yield* commits(primary)
  assert.deepStrictEqual(yield* before.violations, [])
  // The same commits again, under numbers that were given before.
  if (!isQuiet) world.simulator.reorg(4)
  if (isHung) proxy.desert(replica.port)
  yield* primary.crash
  yield* replica.database.query("SELECT pg_promote()")
  assert.isBelow(yield* commits(replica), made)
  assert.strictEqual(yield* commits(replica), kept)
  const after = yield* watchSnapshots(onReplica, TABLE_NAMES, chains)
  if (!isHung) proxy.redirect(replica.port)
  const began = performance.now()
  for (let round = 0; round < 4; round += 1) {
    if (!isQuiet) world.simulator.mine(1)
    yield* awaitCanonicalChain(onReplica, undefined, isHung ? GIVEN_UP_MILLIS : undefined)
    if (isHung && round === 0) console.log(`healed after ${((performance.now() - began) / 1_000).toFixed(1)} s`)
  }
  yield* assertAlwaysRight(onReplica, after)
  for (const process of processes) assert.notInclude(process.output(), "is parked")
})

describe.each(dialects)("with a server of the %s dialect", (dialect) => {
  it.live(
    "I3 a replica that is promoted without the last transactions is synced from what it has",
    () => failOver(dialect, startTwo),
    180_000
  )

  it.live(
    "I1 rows that synchronous_commit=off lost in an immediate stop are synced again, and none twice",
    () =>
      Effect.gen(function*() {
        const home = join(yield* reachableDirectory, "cluster")
        const world = yield* makeWorld({ dialect, blocks: 60, maxRangeBlocks: 20 })
        const chains = new Chains(world.simulator.chain)
        const cluster = yield* startCluster(home)
        yield* cluster.database.query("ALTER SYSTEM SET synchronous_commit = off")
        yield* cluster.database.query("SELECT pg_reload_conf()")
        const proxy = yield* startProxy(cluster.port)
        const watched = yield* watchSnapshots(on(world, cluster), TABLE_NAMES, chains)
        const process = yield* startAmpsync(environmentThrough(world, cluster, proxy))
        yield* awaitCanonicalChain(on(world, cluster))

        yield* cluster.pauseWriters
        world.simulator.mine(3)
        world.simulator.reorg(6)
        yield* awaitCanonicalChain(on(world, cluster))
        const made = yield* commits(cluster)
        assert.deepStrictEqual(yield* watched.violations, [])
        yield* cluster.crash

        const recovered = yield* startCluster(home)
        assert.isBelow(yield* commits(recovered), made)
        const after = yield* watchSnapshots(on(world, recovered), TABLE_NAMES, chains)
        proxy.redirect(recovered.port)
        world.simulator.mine(1)
        yield* awaitCanonicalChain(on(world, recovered))
        yield* assertAlwaysRight(on(world, recovered), after)
        assert.notInclude(process.output(), "is parked")
      }),
    180_000
  )
})

describe.concurrent("a replica that is promoted without the last transactions", () => {
  it.live(
    "I3 is synced from what it has by one process, although no block comes that would bring a commit",
    () => failOver("amp", startOne, { isQuiet: true }),
    180_000
  )

  it.live(
    "I3 is synced from what it has by one of two processes with STANDBY",
    () => failOver("amp", startReserves),
    180_000
  )
})

describe.runIf(process.env["OUTAGE_SECONDS"] !== undefined).concurrent(
  "a primary that is lost with its connections",
  () => {
    it.live(
      "I3 is given up for the promoted replica by one process, without a hole",
      () => failOver("amp", startOne, { isHung: true }),
      600_000
    )

    it.live(
      "I3 is given up for the promoted replica by one of two processes with STANDBY, without a hole",
      () => failOver("amp", startReserves, { isHung: true }),
      600_000
    )
  }
)
