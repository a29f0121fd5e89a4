/** Streams that are silent, each for another reason: the source shows which one it is. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../../src/simulator/tables.ts"
import { differences } from "../../support/compare.ts"
import { eventually } from "../../support/eventually.ts"
import { awaitAllRows, type RunningSync, startSync } from "../../support/runningSync.ts"
import { makeWorld, type World } from "../../support/world.ts"

/** The source is asked more often than every 15 s, so that the tests are short. */
const quickly = { sourceHead: { interval: "300 millis" } } as const

const queries = { blocks: "SELECT * FROM anvil.blocks" }

const reaches = (sync: RunningSync, phase: string) =>
  eventually(
    () => `the table is ${phase}; it logged:\n${sync.lines.slice(-20).join("\n")}`,
    Effect.map(sync.status.get, (tables) => tables.get("blocks")?.phase === phase)
  )

const isEqual = (world: World) =>
  eventually(
    "the table holds the chain",
    Effect.map(differences(world, "blocks", {}), (found) => found.length === 0)
  )

const progressOf = ({ database }: World) =>
  Effect.map(
    database.query("SELECT state, source_head, source_head_at, lag_blocks FROM _ampsync_progress"),
    ([row]) => row!
  )

describe.each<Dialect>(["amp", "nozzle"])("silence of a server of the %s dialect", (dialect) => {
  it.live("at the tip is caught up, with the head of the source and the lag in blocks", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect, blocks: 30, queries })
      const sync = yield* startSync(world.environment, quickly)
      yield* reaches(sync, "caught up")
      // A nozzle server completes a block only with the next one.
      const lag = dialect === "amp" ? "0" : "30"
      yield* eventually(
        "the database shows it",
        Effect.map(progressOf(world), (row) => row["state"] === "caught up" && row["source_head"] === "29")
      )
      const row = yield* progressOf(world)
      assert.strictEqual(row["lag_blocks"], lag)
      assert.strictEqual(row["source_head_at"] !== null, dialect === "amp", "only amp reports the time of a block")
      world.simulator.mine(2)
      yield* eventually(
        "the head moves",
        Effect.map(progressOf(world), (now) => now["source_head"] === "31")
      )
    }))

  it.live("after a chain became shorter is the state diverged, and no row is deleted before a longer chain is there", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect, blocks: 40, maxRangeBlocks: 10, queries })
      const sync = yield* startSync(world.environment, quickly)
      yield* reaches(sync, "caught up")
      world.simulator.chain.reset({ blocks: 12 })
      let before: string | undefined
      yield* eventually(
        "the source is found to end below the watermark",
        Effect.map(sync.status.get, (tables) => {
          const table = tables.get("blocks")
          if (table?.sourceBehindSinceMillis !== undefined) before ??= table.phase
          return before !== undefined
        })
      )
      assert.notStrictEqual(before, "diverged", "it is reported before it lasted for long")
      yield* reaches(sync, "diverged")
      yield* eventually(
        "the database shows no lag, because the head is below the watermark",
        Effect.map(progressOf(world), (row) => row["state"] === "diverged" && row["lag_blocks"] === null)
      )
      const [{ n }] = (yield* world.database.query("SELECT count(*)::int AS n FROM blocks")) as [{ n: number }]
      assert.strictEqual(n, 40)
      yield* eventually(
        "the database shows it",
        Effect.map(progressOf(world), (row) => row["state"] === "diverged")
      )
      world.simulator.mine(40)
      yield* isEqual(world)
      yield* reaches(sync, "caught up")
    }))

  it.live("I2 with ON_CHAIN_RESET=resync a table follows a chain that became shorter at once", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect, blocks: 40, maxRangeBlocks: 10, queries })
      const sync = yield* startSync({ ...world.environment, ON_CHAIN_RESET: "resync" }, quickly)
      yield* reaches(sync, "caught up")
      world.simulator.chain.reset({ blocks: 12 })
      yield* sync.logs("starting again from the first block")
      yield* isEqual(world)
    }))
})

describe("silence of a server of the amp dialect", () => {
  it.live("although the source has more blocks is not believed: the stream is opened again", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30, queries })
      const { faults, mine } = world.simulator
      const sync = yield* startSync(world.environment, quickly)
      yield* reaches(sync, "caught up")
      faults.hangStreams()
      mine(5)
      yield* sync.logs("the stream is silent although the source has block 34")
      yield* awaitAllRows(world, "blocks")
      yield* reaches(sync, "caught up")
    }))

  it.live("in the middle of a range is not caught up, however long it lasts", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 60, maxBatchRows: 20, queries })
      world.simulator.faults.delayMillis = 400
      const phases = new Set<string>()
      const sync = yield* startSync(world.environment, quickly)
      yield* eventually(
        "rows of the range arrive",
        Effect.map(sync.status.get, (tables) => {
          phases.add(tables.get("blocks")?.phase ?? "none")
          return (tables.get("blocks")?.rows ?? 0n) > 0n
        })
      )
      world.simulator.faults.hangStreams()
      yield* Effect.sleep("2500 millis")
      phases.add((yield* sync.status.get).get("blocks")!.phase)
      assert.notInclude([...phases], "caught up")
    }))
})
