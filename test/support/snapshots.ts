/** Checks while a sync runs that every reader's snapshot up to the watermark is one chain. */
import { Cause, Effect, Exit, Fiber, type Scope } from "effect"
import type { BlockId } from "../../src/simulator/BlockSource.ts"
import type { Chain } from "../../src/simulator/Chain.ts"
import { blockAt, type ChainView } from "../../src/simulator/forks.ts"
import { TABLE_NAMES, type TableName, TABLES } from "../../src/simulator/tables.ts"
import { eventually } from "./eventually.ts"
import type { World } from "./world.ts"

/** Every chain the server ever served, so that a watermark of an orphaned block can still be checked. */
export class Chains {
  private readonly chain: Chain
  private readonly views: Array<ChainView>
  private readonly cache = new Map<string, { readonly hash: string; readonly rows: Record<TableName, number> }>()

  constructor(chain: Chain) {
    this.chain = chain
    this.views = [chain.view]
    chain.onChange(() => this.views.push(chain.view))
  }

  /** The chain whose block `number` has this hash. */
  identifiedBy(number: bigint, hash: string): ChainView | undefined {
    return this.views.findLast((view) => {
      const block = blockAt(view, number)
      return block !== undefined && this.block(block).hash === hash
    })
  }

  block(id: BlockId) {
    const key = `${id.fork} ${id.number}`
    const cached = this.cache.get(key)
    if (cached !== undefined) return cached
    const source = this.chain.source(id)
    const tables = TABLES[this.chain.dialect]
    const count = (table: TableName) => tables[table].rowsOf(source)
    const block = {
      hash: this.chain.hashOf(id),
      rows: { blocks: count("blocks"), transactions: count("transactions"), logs: count("logs") }
    }
    this.cache.set(key, block)
    return block
  }
}

interface SeenBlock {
  readonly watermark: string | null
  readonly watermark_hash: string | null
  readonly number: string | null
  readonly hash: string | null
  readonly rows: string
}

/** One statement, so one snapshot: the watermark, and per block up to it the hash its rows carry and how many they are. */
const snapshot = (world: World, table: TableName) => {
  const hash = table === "blocks" ? "hash" : "block_hash"
  return world.database.query<SeenBlock>(
    `SELECT c.max_block_num AS watermark, c.watermark_hash, t._block_num AS number, '0x' || encode(t.${hash}, 'hex') AS hash,
       count(t._block_num) AS rows
     FROM _ampsync_checkpoints c LEFT JOIN ${table} t ON t._block_num <= c.max_block_num
     WHERE c.table_name = '${table}' GROUP BY 1, 2, 3, 4`
  )
}

const violationOf = (
  chains: Chains,
  world: World,
  table: TableName,
  seen: ReadonlyArray<SeenBlock>
): string | undefined => {
  const [first] = seen
  if (first === undefined) return undefined
  if (first.watermark === null) return first.number === null ? undefined : `${table}: rows below no watermark`
  const watermark = BigInt(first.watermark)
  const view = chains.identifiedBy(watermark, first.watermark_hash ?? "")
  if (view === undefined) return `${table}: no chain has block ${watermark} with hash ${first.watermark_hash}`
  const rows = new Map(seen.map((block) => [`${block.number} ${block.hash}`, Number(block.rows)]))
  for (let number = world.simulator.startBlock; number <= watermark; number += 1n) {
    const block = chains.block(blockAt(view, number)!)
    const key = `${number} ${block.hash}`
    const found = rows.get(key) ?? 0
    if (found !== block.rows[table]) {
      return `${table}: at watermark ${watermark} block ${key} has ${found} rows instead of ${block.rows[table]}`
    }
    rows.delete(key)
  }
  rows.delete("null null")
  const [foreign] = rows.keys()
  return foreign === undefined ? undefined : `${table}: at watermark ${watermark} there are rows of block ${foreign}`
}

export interface Observation {
  /** Ends it; the violations that were found, none if the property held. */
  readonly violations: Effect.Effect<ReadonlyArray<string>>
  /** Different watermarks that were checked so far, over all tables. */
  readonly checked: () => number
}

/** Ends an observation; why it ended before, where it did. */
export const endOf = Effect.fnUntraced(function*(fiber: Fiber.Fiber<unknown, unknown>) {
  yield* Fiber.interrupt(fiber)
  const exit = yield* Fiber.await(fiber)
  const isEarly = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
  return isEarly ? [`the observation ended early: ${Cause.pretty(exit.cause)}`] : []
})

/**
 * Reads snapshots of `tables` over and over until the result is read, or the scope closes.
 *
 * `chains` must exist before the server has served any row that is stored.
 */
export const watchSnapshots = Effect.fnUntraced(function*(
  world: World,
  tables: ReadonlyArray<TableName> = TABLE_NAMES,
  chains: Chains = new Chains(world.simulator.chain),
  pauseMillis = 30
): Effect.fn.Return<Observation, never, Scope.Scope> {
  const violations: Array<string> = []
  const watermarks = new Set<string>()
  const check = Effect.gen(function*() {
    const ready = yield* world.database.query(
      // Tables, or views of them.
      "SELECT 1 FROM pg_class WHERE relnamespace = $1::regnamespace AND relname = ANY($2) HAVING count(*) = $3",
      [world.database.schema, ["_ampsync_checkpoints", ...tables], tables.length + 1]
    )
    if (ready.length === 0) return
    for (const table of tables) {
      const seen = yield* snapshot(world, table)
      const violation = violationOf(chains, world, table, seen)
      if (violation !== undefined && violations.length < 5) violations.push(violation)
      if (seen[0]?.watermark_hash != null) watermarks.add(`${table} ${seen[0].watermark_hash}`)
    }
  })
  const fiber = yield* Effect.forkScoped(Effect.forever(Effect.andThen(check, Effect.sleep(pauseMillis))))
  return {
    violations: Effect.map(endOf(fiber), (failure) => [...violations, ...failure]),
    checked: () => watermarks.size
  }
})

/** Whether every table holds exactly the canonical chain as it is now, by the hashes of its blocks. */
export const holdsCanonicalChain = Effect.fnUntraced(function*(
  world: World,
  tables: ReadonlyArray<TableName> = TABLE_NAMES
) {
  const { chain, startBlock } = world.simulator
  for (const table of tables) {
    const present = yield* world.database.query(
      "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = $2",
      [world.database.schema, table]
    )
    if (present.length === 0) return false
    const hash = table === "blocks" ? "hash" : "block_hash"
    const seen = yield* world.database.query<{ number: string; hash: string; rows: string }>(
      `SELECT _block_num AS number, '0x' || encode(${hash}, 'hex') AS hash, count(*) AS rows FROM ${table} GROUP BY 1, 2`
    )
    const rows = seen.reduce((sum, block) => sum + Number(block.rows), 0)
    if (rows !== chain.countRows(table, startBlock)) return false
    if (seen.some((block) => chain.hashAt(BigInt(block.number)) !== block.hash)) return false
  }
  return true
})

/** Waits until every table holds the canonical chain. */
export const awaitCanonicalChain = (world: World, tables?: ReadonlyArray<TableName>, timeoutMillis?: number) =>
  eventually("the tables hold the canonical chain", holdsCanonicalChain(world, tables), timeoutMillis)

/** Waits until `table` has a watermark of at least `block`. */
export const awaitWatermark = ({ database }: World, table: string, block: bigint, timeoutMillis?: number) =>
  eventually(
    `${table} has a watermark of ${block}`,
    Effect.gen(function*() {
      const present = yield* database.query(
        "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = '_ampsync_checkpoints'",
        [database.schema]
      )
      if (present.length === 0) return false
      const rows = yield* database.query(
        "SELECT 1 FROM _ampsync_checkpoints WHERE table_name = $1 AND max_block_num >= $2",
        [table, block]
      )
      return rows.length > 0
    }),
    timeoutMillis
  )
