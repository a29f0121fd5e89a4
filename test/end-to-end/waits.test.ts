/** Whatever the program waits for is named in its log, with the variable to check, long before the wait ends. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, type Scope } from "effect"
import { layer as pgPool } from "../../src/layers/PgPool.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { recordedLog } from "../doubles/Log.ts"
import { serveHttp2 } from "../layers/flight-client/http2Server.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { testDatabase } from "../support/postgres.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { silentPort } from "../support/silentPort.ts"
import { awaitWatermark } from "../support/snapshots.ts"
import { testSettings } from "../support/testSettings.ts"
import { makeWorld, manifestOf, type World } from "../support/world.ts"
import { linesOf } from "./log-lines/stage.ts"

const queries = { blocks: "SELECT * FROM anvil.blocks" }
const NEVER_SECONDS = 10_000

/** On a busy machine, too, a database is connected to and a first attempt is refused within this time. */
const REFUSED_WITHIN = "12s"

const closedPort = Effect.scoped(Effect.map(startProxy(1), ({ port }) => port))

/** Seconds after which a line reports a wait. */
const waited = (message: string): number => Number(/^Still waiting after (\d+) s /.exec(message)?.[1] ?? NEVER_SECONDS)

/** Waits for a line that matches, and sees that it came before the wait ended: by its own number of seconds. */
const names = Effect.fnUntraced(function*(process: AmpsyncProcess, pattern: RegExp, limitSeconds = NEVER_SECONDS) {
  const found = () => linesOf(process.output()).find(({ message }) => pattern.test(message))
  yield* eventually(
    () => `a line matches ${String(pattern)}; the output:\n${process.output().slice(-4000)}`,
    Effect.sync(() => found() !== undefined),
    40_000
  )
  const { message } = found()!
  if (message.startsWith("Still waiting")) assert.isBelow(waited(message), limitSeconds, message)
})

/** A start in which `change` leads one variable of the environment elsewhere, and the line that names it. */
type Case = readonly [
  what: string,
  change: (world: World) => Effect.Effect<Readonly<Record<string, string>>, never, Scope.Scope>,
  pattern: RegExp,
  limitSeconds?: number
]

const at = (variable: string, url: (port: number) => string, port: Effect.Effect<number, never, Scope.Scope>) => () =>
  Effect.map(port, (port) => ({ [variable]: url(port) }))

const databaseAt = (query: string) => (port: number) => `postgresql://me:secret@127.0.0.1:${port}/db${query}`

/** What a server of PostgreSQL answers to the request for TLS: yes. */
const ACCEPTS_TLS = "S"

const cases: ReadonlyArray<Case> = [
  [
    "a database that refuses connections",
    at("DATABASE_URL", databaseAt(""), closedPort),
    /Database connection failed: .*ECONNREFUSED.*\(at 127\.0\.0\.1:\d+, which DATABASE_URL names\).*; trying again in [\d.]+ s/
  ],
  [
    "a database that accepts connections and sends nothing",
    at("DATABASE_URL", databaseAt(""), silentPort()),
    /Still waiting after \d+ s for PostgreSQL \(at 127\.0\.0\.1:\d+, which DATABASE_URL names\); this attempt ends after 10 s/,
    10
  ],
  [
    "a database whose TLS handshake hangs",
    at("DATABASE_URL", databaseAt("?sslmode=require"), silentPort(ACCEPTS_TLS)),
    /Still waiting after \d+ s for PostgreSQL \(at 127\.0\.0\.1:\d+, which DATABASE_URL names\); this attempt ends after 10 s/,
    10
  ],
  [
    "a database in parts, whose host has no address",
    () =>
      Effect.succeed({ DATABASE_URL: "", DATABASE_USER: "me", DATABASE_NAME: "db", DATABASE_HOST: "nowhere.invalid" }),
    /(?:Database connection failed: .*getaddrinfo \w+ nowhere\.invalid|Still waiting after \d+ s for PostgreSQL) \(at nowhere\.invalid:5432, which DATABASE_HOST names\)/,
    10
  ],
  [
    "an Admin API that accepts connections and sends nothing",
    at("AMP_ADMIN_API_ADDR", (port) => `http://127.0.0.1:${port}`, silentPort()),
    /Still waiting after \d+ s for the Admin API \(at http:\/\/127\.0\.0\.1:\d+, which AMP_ADMIN_API_ADDR names\); this attempt ends after 10 s/,
    10
  ],
  [
    "an Arrow Flight that accepts connections and sends nothing",
    at("AMP_FLIGHT_ADDR", (port) => `http://127.0.0.1:${port}`, silentPort()),
    /Still waiting after \d+ s for a connection to Arrow Flight \(at http:\/\/127\.0\.0\.1:\d+, which AMP_FLIGHT_ADDR names\); this attempt ends after 10 s/,
    10
  ],
  [
    "an Arrow Flight whose TLS handshake hangs",
    at("AMP_FLIGHT_ADDR", (port) => `https://127.0.0.1:${port}`, silentPort()),
    /Still waiting after \d+ s for a connection to Arrow Flight \(at https:\/\/127\.0\.0\.1:\d+, which AMP_FLIGHT_ADDR names\)/,
    10
  ],
  [
    "an Arrow Flight whose host has no address",
    () => Effect.succeed({ AMP_FLIGHT_ADDR: "http://nowhere.invalid:1602" }),
    /(?:Name resolution failed|Still waiting after \d+ s).*\(at http:\/\/nowhere\.invalid:1602, which AMP_FLIGHT_ADDR names\)/,
    10
  ],
  [
    "an Arrow Flight that refuses connections",
    at("AMP_FLIGHT_ADDR", (port) => `http://127.0.0.1:${port}`, closedPort),
    /Failed to create stream for table 'blocks' .*ECONNREFUSED.*\(at http:\/\/127\.0\.0\.1:\d+, which AMP_FLIGHT_ADDR names\)/
  ],
  [
    "a GetFlightInfo that is not answered",
    () => Effect.map(serveHttp2({ GetFlightInfo: () => {} }), (url) => ({ AMP_FLIGHT_ADDR: url })),
    /Still waiting after \d+ s for the plan of a query from Arrow Flight \(at http:\/\/127\.0\.0\.1:\d+, which AMP_FLIGHT_ADDR names\); this attempt ends after 60 s/,
    60
  ],
  [
    "a DoGet that is not answered",
    ({ simulator: { faults } }) => Effect.as(Effect.sync(() => faults.silenceCalls("DoGet")), {}),
    /Still waiting after \d+ s for the first message of a stream from Arrow Flight \(at http:\/\/127\.0\.0\.1:\d+, which AMP_FLIGHT_ADDR names\)/
  ],
  [
    "a lock on the bookkeeping tables",
    (world) =>
      Effect.gen(function*() {
        const first = yield* startAmpsync(world.environment)
        yield* first.prints("Checkpoint tracking initialized")
        yield* first.kill("SIGTERM")
        yield* first.exited
        yield* holdLock(world.database, "LOCK TABLE _ampsync_writers")
        return {}
      }),
    /The bookkeeping tables could not be prepared: .* another session holds a lock on the bookkeeping tables in schema "test_\w+" \(DATABASE_SCHEMA\)/
  ]
]

describe.concurrent("a start that waits for", () => {
  for (const [what, change, pattern, limitSeconds] of cases) {
    it.live(`${what} names it before the wait ends`, () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
        const changed = yield* change(world)
        yield* names(yield* startAmpsync({ ...world.environment, ...changed }), pattern, limitSeconds)
      }), 60_000)
  }
})

describe.concurrent("a sync that waits for", () => {
  it.live("a database that falls silent names it before a statement is given up", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
      const proxy = yield* startProxy(Number(new URL(world.database.url).port))
      const sync = yield* startAmpsync({
        ...world.environment,
        DATABASE_URL: throughProxy(world.database.url, proxy)
      })
      yield* awaitWatermark(world, "blocks", 19n)
      proxy.freeze()
      yield* names(
        sync,
        /The heartbeat of this process is not recorded by the database at 127\.0\.0\.1:\d+ \(DATABASE_URL\): no answer within 3 seconds/
      )
      assert.notInclude(sync.output(), "was not answered")
    }), 60_000)

  it.live(
    "an Admin API that falls silent at a reload names it before the reload is given up",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
        const sync = yield* startAmpsync(world.environment)
        yield* awaitWatermark(world, "blocks", 19n)
        world.simulator.faults.silence()
        yield* replaceConfig(world, manifestOf("amp", { ...queries, logs: "SELECT * FROM anvil.logs" }) as object)
        yield* names(sync, /Still waiting after \d+ s for the Admin API \(at .*, which AMP_ADMIN_API_ADDR names\)/, 10)
        assert.notInclude(sync.output(), "Failed to reload")
      }),
    60_000
  )

  it.live("a connection of a pool that is exhausted names MAX_DB_CONNECTIONS", () =>
    Effect.gen(function*() {
      const log = recordedLog()
      const settings = testSettings(yield* testDatabase, { MAX_DB_CONNECTIONS: 2 })
      const context = yield* Effect.provide(Layer.build(Layer.provide(pgPool, settings)), log.layer)
      const { sql, transaction } = Context.get(context, PgPool)
      const waiting = yield* Effect.forkChild(Effect.provide(
        Effect.all([
          transaction("one", Effect.never),
          Effect.delay(transaction("two", sql`SELECT 1`), "200 millis")
        ], { concurrency: 2 }),
        log.layer
      ))
      yield* eventually(
        "it is named",
        Effect.sync(() =>
          log.lines.some((line) => /^Still waiting .* a connection of the pool .*MAX_DB_CONNECTIONS/.test(line))
        )
      )
      yield* Fiber.interrupt(waiting)
    }), 60_000)
})

describe.concurrent("a verb that waits for", () => {
  it.live(
    "an Arrow Flight that refuses connections is a plan once it answers, and names it until then",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
        const port = yield* closedPort
        const plan = yield* startAmpsync({ ...world.environment, AMP_FLIGHT_ADDR: `http://127.0.0.1:${port}` }, [
          "plan"
        ])
        yield* names(
          plan,
          /ECONNREFUSED.*\(at http:\/\/127\.0\.0\.1:\d+, which AMP_FLIGHT_ADDR names\); trying again in [\d.]+ s/
        )
        yield* startProxy(Number(new URL(world.simulator.flightUrl).port), port)
        assert.strictEqual((yield* plan.exited).code, 3, plan.output())
      }),
    60_000
  )

  it.live(
    "an Arrow Flight that refuses connections names it also where its time ends",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
        const address = `http://127.0.0.1:${yield* closedPort}`
        const plan = yield* startAmpsync({ ...world.environment, AMP_FLIGHT_ADDR: address }, [
          "plan",
          "--timeout",
          REFUSED_WITHIN
        ])
        assert.strictEqual((yield* plan.exited).code, 1, plan.output())
        assert.match(
          plan.output(),
          /no answer within 12s from Arrow Flight at http:\/\/127\.0\.0\.1:\d+ \(AMP_FLIGHT_ADDR\): .*ECONNREFUSED/
        )
      }),
    60_000
  )

  it.live("a lock names the database, and is a resync once it is released", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
      const sync = yield* startAmpsync(world.environment)
      yield* awaitWatermark(world, "blocks", 19n)
      yield* sync.kill("SIGTERM")
      yield* sync.exited
      const lock = yield* holdLock(world.database, "LOCK TABLE _ampsync_checkpoints")
      const resync = yield* startAmpsync(world.environment, ["resync", "--table", "blocks", "--yes"])
      yield* names(
        resync,
        /Still waiting after \d+ s for an answer of the database at 127\.0\.0\.1:\d+ \(DATABASE_URL\)/
      )
      yield* lock.release
      assert.strictEqual((yield* resync.exited).code, 0, resync.output())
    }), 60_000)
})
