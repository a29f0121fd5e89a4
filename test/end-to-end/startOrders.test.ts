/** A start while nothing is up: whatever comes first, what is missing is named, and in the end all rows are there. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { allDifferences } from "../support/compare.ts"
import { makeDoor, portOf } from "../support/door.ts"
import { throughProxy } from "../support/proxy.ts"
import { awaitCanonicalChain } from "../support/snapshots.ts"
import { makeWorld } from "../support/world.ts"

const named = {
  database: /Database connection failed: [^\n]*ECONNREFUSED[^\n]*which DATABASE_URL names/,
  flight: /ECONNREFUSED[^\n]*which AMP_FLIGHT_ADDR names/,
  admin: /which AMP_ADMIN_API_ADDR names[^\n]*ECONNREFUSED/
}

type Part = keyof typeof named

/** What comes up at once, step by step, and what the log names before each step. */
type Order = ReadonlyArray<readonly [missing: Part | undefined, comes: ReadonlyArray<Part>]>

const orders: ReadonlyArray<readonly [title: string, order: Order]> = [
  ["the server comes first", [["database", ["flight", "admin"]], [undefined, ["database"]]]],
  ["the database comes first", [["database", ["database"]], ["admin", ["flight", "admin"]]]],
  ["both come at once", [["database", ["database", "flight", "admin"]]]],
  ["the Admin API comes last, after the sync has begun without it", [["database", ["database"]], ["admin", [
    "flight"
  ]]]],
  ["Arrow Flight comes last", [["database", ["database", "admin"]], ["flight", ["flight"]]]]
]

describe.concurrent("a start while database and server are down", () => {
  for (const [title, order] of orders) {
    it.live(`ends in a sync of all rows where ${title}, and names what it waits for`, () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
        const { database, environment, simulator } = world
        const doors = {
          database: yield* makeDoor(portOf(database.url)),
          flight: yield* makeDoor(portOf(simulator.flightUrl)),
          admin: yield* makeDoor(portOf(simulator.adminUrl))
        }
        yield* Effect.forEach(Object.values(doors), (door) => door.close)
        const process = yield* startAmpsync({
          ...environment,
          DATABASE_URL: throughProxy(database.url, doors.database),
          AMP_FLIGHT_ADDR: throughProxy(simulator.flightUrl, doors.flight),
          AMP_ADMIN_API_ADDR: throughProxy(simulator.adminUrl, doors.admin)
        })
        for (const [missing, comes] of order) {
          if (missing !== undefined) yield* process.prints(named[missing])
          yield* Effect.forEach(comes, (part) => doors[part].open)
        }
        yield* awaitCanonicalChain(world)
        yield* doors.admin.open
        simulator.reorg(3)
        yield* awaitCanonicalChain(world)
        assert.deepStrictEqual(yield* allDifferences(world), [])
        assert.notMatch(process.output(), /is parked|25P02/)
      }))
  }
})

describe("a start by a role without rights on the schema", () => {
  it.live("ends with exit code 1 and the GRANT to run, and the start after that syncs all rows", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
      const { query, schema, url } = world.database
      const role = `role_${schema}`
      yield* Effect.acquireRelease(
        query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`),
        () => Effect.andThen(query(`DROP OWNED BY ${role} CASCADE`), query(`DROP ROLE ${role}`))
      )
      const ofRole = new URL(url)
      ofRole.username = role
      ofRole.password = "test"
      const environment = { ...world.environment, DATABASE_URL: ofRole.href }
      const refused = yield* startAmpsync(environment)
      assert.strictEqual((yield* refused.exited).code, 1, refused.output())
      const grant = /run: (GRANT [^\n]*?)(?:"? target=|\n)/.exec(refused.output().replaceAll("\\\"", "\""))?.[1]
      yield* query(grant ?? assert.fail(refused.output()))
      const granted = yield* startAmpsync(environment)
      yield* awaitCanonicalChain(world)
      yield* granted.kill("SIGTERM")
      assert.strictEqual((yield* granted.exited).code, 0)
      assert.deepStrictEqual(yield* allDifferences(world), [])
    }))
})
