import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ancestry, ModelChain } from "./ModelChain.ts"
import { ModelServer } from "./ModelServer.ts"
import { ModelSync } from "./ModelSync.ts"
import { compare, ModelTable } from "./ModelTable.ts"

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Setup = Schema.Struct({
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
}

/** Events that change what may be expected. */
interface Oddities {
  /** Orphans became canonical again. */
  back: boolean
  /** A cursor was lost on the way. */
  lost: boolean
  /** The chain was replaced to its first block. */
  exchanged: boolean
}

const run = (world: World, setup: typeof Setup.Type, schedule: typeof Schedule.Type): boolean => {
  const rowsOf = (born: number) => {
    const dice = ((born + 1) * 2_654_435_761 + setup.salt * 40_503) >>> 16
    return dice % 4 < setup.emptyBlocks ? 0 : 1 + (dice % 3)
  }
  const chain = new ModelChain(setup.startsAbove ? 100n : 0n, rowsOf)
  const server = new ModelServer(chain, world.dialect, world.verifiable, setup.maxBlocks + 2)
  const table = new ModelTable(chain)
  const options = {
    rangeMode: world.rangeMode,
    retentionBlocks: setup.retentionBlocks,
    onChainReset: setup.resync ? "resync" as const : "park" as const
  }
  const odd: Oddities = { back: false, lost: false, exchanged: false }
  const sync = new ModelSync(server, table, options, () => ({
    judgesDeletions: world.verifiable && !odd.back && !odd.lost && !odd.exchanged
  }))
  let highest = 0n
  for (const event of schedule) {
    happen(server, sync, odd, event)
    const tip = chain.tip?.number ?? 0n
    if (tip > highest) highest = tip
  }
  server.ignoring = 0
  settle(chain, sync, highest)
  if (sync.parked === undefined) return checkEnd(chain, table, world.dialect)
  const justified = odd.lost || odd.exchanged || !sync.parked.oldestIsCanonical
  if (!justified) throw new Error(`it was parked although its oldest block is canonical: ${sync.parked.reason}`)
  return true
}

const happen = (server: ModelServer, sync: ModelSync, odd: Oddities, { a, b, kind }: typeof Event.Type): void => {
  const { chain } = server
  if (kind < 32) return sync.pull(1 + a, 1 + b)
  if (kind < 44) return chain.mine(1 + a)
  if (kind < 52) return followTip(chain, sync, 1 + a)
  if (kind < 64) return chain.reorg(1 + (b > 9 ? 2 * a : a % 4), 1 + b % 3)
  if (kind < 70) return sync.cut()
  if (kind < 76) return sync.crash()
  // A stream that is open follows a reorg long before its orphans are collected, so none is open across that.
  if (kind < 82) chain.forget(a, b)
  else if (kind < 90) {
    chain.reorg(2 + 2 * a, 1)
    chain.forget(b > 6 ? a : 0, b > 6 ? b : 0)
  } else if (kind < 93) odd.back = chain.back(a) || odd.back
  else if (kind < 95) server.maxBlocks = 2 + a
  else if (kind < 98) {
    server.ignoring = 1 + a % 3
    odd.lost = true
  } else {
    chain.reset(1 + a, b > 6)
    odd.exchanged = true
  }
  if (kind < 90 || kind >= 98) sync.cut()
}

/** Every block becomes a range of its own, as at the tip. */
const followTip = (chain: ModelChain, sync: ModelSync, blocks: number): void => {
  for (let i = 0; i < blocks; i++) {
    chain.mine(1)
    sync.pull(20, 5)
  }
}

/** Blocks with rows, one after the other, until the chain is longer than it ever was and by some more. */
const settle = (chain: ModelChain, sync: ModelSync, highest: bigint): void => {
  sync.pull(1_000, 5)
  for (let i = 0; i < 6 || (chain.tip?.number ?? 0n) < highest + 4n; i++) {
    chain.mine(1, 1)
    sync.pull(1_000, 5)
  }
}

const checkEnd = (chain: ModelChain, table: ModelTable, dialect: "nozzle" | "amp"): boolean => {
  const tip = chain.tip!
  const newest = dialect === "amp" ? tip.number : tip.number - 1n
  if (table.watermark?.block !== newest) {
    throw new Error(`the watermark is ${table.watermark?.block}, the tip ${tip.number}`)
  }
  if (table.checkpoint.unverifiedFrom !== undefined) return true
  const difference = compare(table.rows, ancestry(tip))
  if (difference !== undefined) throw new Error(`in the end ${difference}`)
  return true
}

const worlds: ReadonlyArray<readonly [title: string, world: World]> = [
  ["an amp server", { dialect: "amp", rangeMode: false, verifiable: true }],
  ["an amp server, rows without a position", { dialect: "amp", rangeMode: true, verifiable: true }],
  ["a nozzle server", { dialect: "nozzle", rangeMode: false, verifiable: true }],
  ["a nozzle server, rows without a position", { dialect: "nozzle", rangeMode: true, verifiable: true }],
  ["a nozzle server without a blocks table", { dialect: "nozzle", rangeMode: false, verifiable: false }]
]

describe("followFrame, by random schedules", () => {
  for (const [title, world] of worlds) {
    it.prop(
      `I2 whatever ${title} does, rows up to the watermark are the chain it names, and in the end the canonical one`,
      { setup: Setup, schedule: Schedule },
      ({ schedule, setup }) => run(world, setup, schedule),
      { arbitrary: { runs: Number(process.env["FOLLOW_RUNS"] ?? 200), size: 60, maxShrinks: 3_000 } }
    )
  }
})
