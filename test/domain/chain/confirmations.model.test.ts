import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ancestry, ModelChain } from "./ModelChain.ts"
import { ModelServer } from "./ModelServer.ts"
import { ModelSync } from "./ModelSync.ts"
import { compare, ModelTable } from "./ModelTable.ts"

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Setup = Schema.Struct({
  confirmations: upTo(8),
  startsAbove: Schema.Boolean,
  emptyBlocks: upTo(3),
  maxBlocks: upTo(7),
  retentionBlocks: upTo(30),
  resync: Schema.Boolean,
  salt: upTo(1_000)
})
const Event = Schema.Struct({ kind: upTo(99), a: upTo(12), b: upTo(12) })
const Schedule = Schema.Array(Event).check(Schema.isMaxLength(60))

interface World {
  readonly dialect: "nozzle" | "amp"
  readonly rangeMode: boolean
  /** Blocks can be verified in a table of the network. */
  readonly verifiable: boolean
  /** No reorg reaches deeper than the confirmations. */
  readonly isShallow: boolean
}

const run = (world: World, setup: typeof Setup.Type, schedule: typeof Schedule.Type): boolean => {
  const rowsOf = (born: number) => {
    const dice = ((born + 1) * 2_654_435_761 + setup.salt * 40_503) >>> 16
    return dice % 4 < setup.emptyBlocks ? 0 : 1 + (dice % 3)
  }
  const { confirmations } = setup
  const chain = new ModelChain(setup.startsAbove ? 100n : 0n, rowsOf)
  const server = new ModelServer(chain, world.dialect, world.verifiable, setup.maxBlocks + 2)
  // Where no block can be verified, what follows a gap counts as built on what came before it; the table is marked.
  const table = new ModelTable(chain, world.verifiable ? confirmations : 0)
  const options = {
    rangeMode: world.rangeMode,
    retentionBlocks: setup.retentionBlocks,
    onChainReset: setup.resync ? "resync" as const : "park" as const
  }
  const sync = new ModelSync(server, table, options, () => ({ judgesDeletions: world.verifiable }), confirmations)
  const depthOf = (a: number, b: number) => world.isShallow ? Math.min(a, confirmations) : 1 + (b > 9 ? 2 * a : a % 4)
  for (const { a, b, kind } of schedule) {
    if (kind < 32) sync.pull(1 + a, 1 + b)
    else if (kind < 44) sync.ask(1 + b)
    else if (kind < 56) chain.mine(1 + a)
    else if (kind < 64) {
      for (let i = 0; i < 1 + a; i++) {
        chain.mine(1)
        sync.pull(20, 5)
      }
    } else if (kind < 80) chain.reorg(depthOf(a, b), 1 + b % 3)
    else if (kind < 84) sync.cut()
    else if (kind < 87) sync.loseChunk(1 + a, 1 + b)
    else if (kind < 92) sync.crash()
    else if (kind < 96) server.maxBlocks = 2 + a
    else {
      // A stream that is open follows a reorg long before its orphans are collected.
      chain.forget(b > 6 ? a : 0, b > 6 ? b : 0)
      sync.cut()
    }
  }
  sync.pull(1_000, 5)
  for (let i = 0; i < 8 + 2 * confirmations; i++) {
    chain.mine(1, 1)
    sync.pull(1_000, 5)
  }
  if (world.isShallow && confirmations > 0) assert.strictEqual(table.reorgs, 0, "a reorg left a trace")
  if (sync.parked !== undefined) {
    assert.isFalse(sync.parked.oldestIsCanonical, `it was parked: ${sync.parked.reason}`)
    return true
  }
  return isComplete(chain, table, confirmations === 0 && world.dialect === "nozzle" ? 1n : BigInt(confirmations))
}

/** Everything that has its confirmations is there, and nothing else. */
const isComplete = (chain: ModelChain, table: ModelTable, below: bigint): boolean => {
  const newest = chain.at(chain.tip!.number - below)!
  const { watermark } = table
  assert.strictEqual(watermark?.block, newest.number)
  if (table.checkpoint.unverifiedFrom !== undefined) return true
  assert.strictEqual(watermark?.hash, newest.hash)
  const complete = table.rows.filter(({ position }) => position <= newest.number)
  assert.isUndefined(compare(complete, ancestry(newest)))
  if (below > 0n && chain.tip!.number - newest.number > 1n) assert.lengthOf(table.provisional, 0)
  return true
}

const anyDepth = { rangeMode: false, verifiable: true, isShallow: false }
const worlds: ReadonlyArray<readonly [title: string, world: World]> = [
  ["an amp server", { ...anyDepth, dialect: "amp" }],
  ["an amp server, rows without a position", { ...anyDepth, dialect: "amp", rangeMode: true }],
  ["a nozzle server", { ...anyDepth, dialect: "nozzle" }],
  ["a nozzle server, rows without a position", { ...anyDepth, dialect: "nozzle", rangeMode: true }],
  ["a nozzle server without a blocks table", { ...anyDepth, dialect: "nozzle", verifiable: false }]
]
const arbitrary = { runs: Number(process.env["FOLLOW_RUNS"] ?? 150), size: 60, maxShrinks: 3_000 }

describe("rows that wait for 0 to 8 confirmations, by random schedules", () => {
  for (const [title, world] of worlds) {
    it.prop(
      `I1 whatever ${title} does, no row is written before its blocks are on top of it, and none is missing in the end`,
      { setup: Setup, schedule: Schedule },
      ({ schedule, setup }) => run(world, setup, schedule),
      { arbitrary }
    )
  }

  for (const [title, world] of worlds.filter(([, { verifiable }]) => verifiable)) {
    it.prop(
      `I2 reorgs of ${title} that are no deeper than the confirmations leave no trace`,
      { setup: Setup, schedule: Schedule },
      ({ schedule, setup }) => run({ ...world, isShallow: true }, setup, schedule),
      { arbitrary }
    )
  }
})
