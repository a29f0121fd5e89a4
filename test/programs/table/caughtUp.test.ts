import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Phase } from "../../../src/domain/TablePhase.ts"
import type { Dialect } from "../../../src/simulator/tables.ts"
import { eventually } from "../../support/eventually.ts"
import { replaceConfig, type RunningSync, startSync } from "../../support/runningSync.ts"
import { makeWorld, manifestOf, type WorldOptions } from "../../support/world.ts"

const INDEXED = { blocks: [["hash"]], few: [["address"]] }
const QUERIES = { blocks: "SELECT * FROM anvil.blocks", few: "SELECT * FROM anvil.logs WHERE block_num < 2500" }
type Table = keyof typeof INDEXED
const TABLES: ReadonlyArray<Table> = ["blocks", "few"]

/** A world whose config names an index of each table, and its running sync. */
const started = Effect.fnUntraced(function*(options: WorldOptions) {
  const world = yield* makeWorld({ ...options, queries: QUERIES })
  const { tables, ...rest } = manifestOf(options.dialect, QUERIES) as { tables: Record<Table, object> }
  yield* replaceConfig(world, {
    ...rest,
    tables: Object.fromEntries(TABLES.map((name) => [name, { ...tables[name], indexes: INDEXED[name] }]))
  })
  return world
})

/** Every change of the phase of a table from now on. */
const phasesOf = Effect.fnUntraced(function*(sync: RunningSync, table: Table) {
  const phases: Array<Phase> = []
  yield* sync.status.changes.pipe(
    Stream.runForEach((tables) =>
      Effect.sync(() => {
        const phase = tables.get(table)?.phase
        if (phase !== undefined && phase !== phases.at(-1)) phases.push(phase)
      })
    ),
    Effect.forkScoped
  )
  return phases
})

const rowsReach = (sync: RunningSync, table: Table, rows: number) =>
  eventually(
    () => `${table} has ${rows} rows; its log:\n${sync.lines.slice(-20).join("\n")}`,
    Effect.map(sync.status.get, (tables) => (tables.get(table)?.rows ?? 0n) >= rows),
    30_000
  )

describe("a table whose chain has ten blocks a second", () => {
  for (const dialect of ["amp", "nozzle"] satisfies ReadonlyArray<Dialect>) {
    // How long it takes is tested with the detector, whose clock does not depend on the machine.
    it.live(`catches up while blocks keep coming, and gets its indexes (${dialect})`, () =>
      Effect.gen(function*() {
        const world = yield* started({ dialect, blocks: 3_000, blockTime: "100 millis", reorgEvery: 20, reorgDepth: 3 })
        const sync = yield* startSync({ ...world.environment, DEFER_INDEXES: "off" })
        yield* rowsReach(sync, "blocks", 3_000)
        for (const table of TABLES) yield* sync.logs(`Table '${table}' has index ${table}_`)
      }))

    it.live(`has not caught up while a slow server still delivers its history (${dialect})`, () =>
      Effect.gen(function*() {
        const blocks = 20_000
        const world = yield* started({ dialect, blocks, blockTime: "200 millis", maxBatchRows: 1_000 })
        world.simulator.faults.delayMillis = dialect === "amp" ? 150 : 300
        const began = Date.now()
        const sync = yield* startSync({ ...world.environment, DEFER_INDEXES: "off" })
        const phases = yield* phasesOf(sync, "blocks")
        yield* rowsReach(sync, "blocks", blocks - 1_500)
        assert.isAbove(Date.now() - began, 4_000, "it took longer than any silence")
        assert.notInclude(phases, "caught up")
        assert.notInclude(sync.lines.join("\n"), "building index blocks_")
        world.simulator.faults.delayMillis = 0
        yield* sync.logs("Table 'blocks' has index blocks_hash_")
        assert.include(phases, "caught up")
      }))
  }
})
