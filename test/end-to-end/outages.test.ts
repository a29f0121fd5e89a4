/**
 * Server and database go away, also both at a time, and come back: the sync heals by itself, and no snapshot is ever wrong.
 * `npm run test:outages` runs the long form, whose outages are longer than every time limit.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { assertAlwaysRight } from "../support/compare.ts"
import { type Door, makeDoor, portOf } from "../support/door.ts"
import { eventually } from "../support/eventually.ts"
import { addressOf, ask } from "../support/health.ts"
import { throughProxy } from "../support/proxy.ts"
import { awaitCanonicalChain, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld } from "../support/world.ts"

const LONG_SECONDS = Number(process.env["OUTAGE_SECONDS"] ?? 0)
const isLong = LONG_SECONDS > 0

/** The longest delay between two attempts, jittered, and time for the attempt after it on a busy machine. */
const HEALED_MILLIS = 72_000 + 60_000

type Away = "server" | "database"

/** What goes, and what comes back, in this order. */
interface Outage {
  readonly title: string
  readonly goes: ReadonlyArray<Away>
  readonly comes: ReadonlyArray<Away>
  /** They accept connections and do not answer. */
  readonly isSilent?: boolean
}

const short: ReadonlyArray<Outage> = [
  {
    title: "the server, then the database too; the server is back first",
    goes: ["server", "database"],
    comes: ["server", "database"]
  },
  {
    title: "the database, then the server too; the server is back first",
    goes: ["database", "server"],
    comes: ["server", "database"]
  }
]

const long: ReadonlyArray<Outage> = [
  ...short,
  {
    title: "the server, then the database too; the database is back first",
    goes: ["server", "database"],
    comes: ["database", "server"]
  },
  { title: "the server", goes: ["server"], comes: ["server"] },
  { title: "the database", goes: ["database"], comes: ["database"] },
  { title: "the server, which accepts connections", goes: ["server"], comes: ["server"], isSilent: true },
  { title: "the database, which accepts connections", goes: ["database"], comes: ["database"], isSilent: true }
]

const residentMegabytes = (address: string) =>
  Effect.map(
    ask(address, "/metrics"),
    ({ text }) => Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]) / 1e6
  )

const linesOf = ({ output }: AmpsyncProcess): number => output().split("\n").length

const heals = Effect.fnUntraced(function*({ comes, goes, isSilent = false, title }: Outage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 40, maxRangeBlocks: 20 })
  const { database, environment, simulator } = world
  const [flight, admin] = [
    yield* makeDoor(portOf(simulator.flightUrl)),
    yield* makeDoor(portOf(simulator.adminUrl))
  ]
  const ofDatabase = yield* makeDoor(portOf(database.url))
  const doors: Record<Away, ReadonlyArray<Door>> = { server: [flight, admin], database: [ofDatabase] }
  const snapshots = yield* watchSnapshots(world)
  const process = yield* startAmpsync({
    ...environment,
    HEALTH_PORT: "0",
    DATABASE_URL: throughProxy(database.url, ofDatabase),
    AMP_FLIGHT_ADDR: throughProxy(simulator.flightUrl, flight),
    AMP_ADMIN_API_ADDR: throughProxy(simulator.adminUrl, admin)
  })
  yield* awaitCanonicalChain(world)
  const address = yield* addressOf(process)
  const isReady = Effect.map(ask(address, "/readyz"), ({ status }) => status === 200)
  yield* eventually("it is ready", isReady)
  const before = { megabytes: yield* residentMegabytes(address), lines: linesOf(process) }

  const began = performance.now()
  const pause = Effect.sleep(isLong ? LONG_SECONDS * 1_000 / comes.length : 1_000)
  for (const one of goes) {
    yield* Effect.forEach(doors[one], (door) => isSilent ? door.silence : door.close)
    simulator.mine(1)
    yield* pause
  }
  simulator.reorg(4)
  // A server that is silent is noticed by a ping; what is not known about it earlier is the lag.
  const query = isSilent ? "?max_lag_blocks=100000" : ""
  let reasons = ""
  yield* eventually(
    "it is not ready, and names why",
    Effect.map(ask(address, `/readyz${query}`), ({ status, text }) => {
      reasons = text
      return status === 503
    })
  )
  assert.match(reasons, isSilent ? /stalled|offline|was last read/ : /ECONNREFUSED|heartbeat/)
  const lines = linesOf(process) - before.lines
  const seconds = (performance.now() - began) / 1_000
  for (const one of comes) {
    yield* Effect.forEach(doors[one], (door) => door.open)
    if (one !== comes.at(-1)) yield* pause
  }
  const back = performance.now()
  yield* awaitCanonicalChain(world, undefined, HEALED_MILLIS)
  yield* eventually("it is ready again", isReady, HEALED_MILLIS)
  const healedSeconds = (performance.now() - back) / 1_000
  simulator.reorg(2)
  yield* awaitCanonicalChain(world)
  yield* assertAlwaysRight(world, snapshots)

  assert.notMatch(process.output(), /is parked|25P02|current transaction is aborted|CANCELLED/)
  yield* eventually(
    "every stream and every poll has one connection, and the pool has its own",
    Effect.sync(() => flight.connections() <= 4 && ofDatabase.connections() <= 12)
  )
  const megabytes = yield* residentMegabytes(address)
  assert.isBelow(megabytes - before.megabytes, 150, "memory is flat")
  if (isLong) {
    console.log(
      `${title}: ${seconds.toFixed(0)} s, ${lines} lines, healed in ${healedSeconds.toFixed(1)} s, ` +
        `${before.megabytes.toFixed(0)} MB before and ${megabytes.toFixed(0)} MB after`
    )
  }
})

describe.concurrent("an outage of", () => {
  for (const outage of isLong ? long : short) {
    it.live(`${outage.title}: heals by itself`, () => heals(outage), 180_000 + 3_000 * LONG_SECONDS)
  }
})
