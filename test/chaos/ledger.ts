/** Checks while a sync runs that the bookkeeping of every snapshot describes the rows of that snapshot. */
import { Effect, type Scope } from "effect"
import { blockAt } from "../../src/simulator/forks.ts"
import { type Chains, endOf } from "../support/snapshots.ts"
import type { World } from "../support/world.ts"
import { type ChaosTable, chaosTables, PAUSE_MILLIS } from "./tables.ts"

interface Seen {
  readonly watermark: string | null
  readonly watermark_hash: string | null
  readonly rows: string
  readonly provisional_rows: string
  readonly epoch: string
  readonly seq: string
  readonly writer: string | null
  readonly counted: string
  readonly above: string
  readonly newest: string | null
  readonly history: ReadonlyArray<readonly [string, string]>
}

/** One statement, so one snapshot. */
const snapshot = ({ database }: World, { as, position }: ChaosTable) =>
  database.query<Seen>(
    `SELECT c.max_block_num AS watermark, c.watermark_hash, c.rows, c.provisional_rows, c.writer_epoch AS epoch,
       c.commit_seq AS seq, c.writer, (SELECT count(*) FROM ${as}) AS counted,
       (SELECT count(*) FROM ${as} WHERE ${position} > coalesce(c.max_block_num, -1)) AS above,
       (SELECT max(${position}) FROM ${as}) AS newest,
       (SELECT coalesce(json_agg(json_build_array(block_num::text, hash) ORDER BY block_num), '[]')
          FROM _ampsync_watermarks w WHERE w.table_name = c.table_name) AS history
     FROM _ampsync_checkpoints c WHERE table_name = '${as}'`
  )

const differencesOf = (chains: Chains, table: string, seen: Seen): ReadonlyArray<string> => {
  const found: Array<string> = []
  const compare = (what: string, recorded: unknown, actual: unknown) => {
    if (recorded !== actual) found.push(`${table}: ${what}: recorded ${String(recorded)}, is ${String(actual)}`)
  }
  compare("rows", seen.rows, seen.counted)
  compare("provisional rows", seen.provisional_rows, seen.above)
  const newest = seen.history.at(-1)
  compare("newest entry of the history", newest?.[0] ?? null, seen.watermark)
  compare("hash of the newest entry of the history", newest?.[1] ?? null, seen.watermark_hash)
  if (seen.watermark === null) return found
  const view = chains.identifiedBy(BigInt(seen.watermark), seen.watermark_hash ?? "")
  if (view === undefined) {
    return [...found, `${table}: no chain has the watermark ${seen.watermark} ${seen.watermark_hash}`]
  }
  for (const [number, hash] of seen.history) {
    const block = blockAt(view, BigInt(number))
    compare(`hash of block ${number} of the history`, hash, block === undefined ? undefined : chains.block(block).hash)
  }
  return found
}

/** What a later snapshot must not take back: there is one writer at a time. */
const successionOf = (table: string, before: Seen, after: Seen): ReadonlyArray<string> => {
  const [was, is] = [before, after].map(({ epoch, seq }) => [BigInt(epoch), BigInt(seq)] as const)
  if (is![0] < was![0]) return [`${table}: the epoch went down from ${was![0]} to ${is![0]}`]
  if (is![1] < was![1]) return [`${table}: the commit sequence went down from ${was![1]} to ${is![1]}`]
  const isOther = before.writer !== null && after.writer !== null && before.writer !== after.writer
  return isOther && is![0] === was![0] ? [`${table}: two writers in epoch ${is![0]}`] : []
}

/** Rows without so many blocks on top of them, on the longest chain so far. */
const unconfirmedOf = (
  { as, confirmations = 0 }: ChaosTable,
  { newest }: Seen,
  highest: bigint
): ReadonlyArray<string> =>
  newest === null || BigInt(newest) + BigInt(confirmations) <= highest
    ? []
    : [`${as}: there is a row of block ${newest}, which has not ${confirmations} blocks on top of it at ${highest}`]

export interface Ledger {
  /** Ends it; the violations that were found. */
  readonly violations: Effect.Effect<ReadonlyArray<string>>
  /** Snapshots that were checked so far. */
  readonly checked: () => number
}

/**
 * Reads the bookkeeping and counts the rows over and over until the result is read, or the scope closes. `generation` grows
 * whenever the database may have lost commits.
 */
export const watchLedger = Effect.fnUntraced(function*(
  world: World,
  chains: Chains,
  generation: () => number
): Effect.fn.Return<Ledger, never, Scope.Scope> {
  const violations: Array<string> = []
  const last = new Map<string, { readonly seen: Seen; readonly generation: number }>()
  let highest = -1n
  let checked = 0
  const check = Effect.gen(function*() {
    for (const table of chaosTables) {
      const present = yield* world.database.query(
        "SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = ANY($2) HAVING count(*) = 2",
        [world.database.schema, ["_ampsync_checkpoints", table.as]]
      )
      const began = generation()
      const [seen] = present.length === 0 ? [] : yield* snapshot(world, table)
      if (seen === undefined) continue
      const before = last.get(table.as)
      violations.push(...differencesOf(chains, table.as, seen))
      // The database may have lost commits.
      if (began !== generation()) continue
      if (before?.generation === began) violations.push(...successionOf(table.as, before.seen, seen))
      if (world.simulator.chain.tip > highest) highest = world.simulator.chain.tip
      violations.push(...unconfirmedOf(table, seen, highest))
      violations.splice(10)
      last.set(table.as, { seen, generation: began })
      checked += 1
    }
  })
  const fiber = yield* Effect.forkScoped(Effect.forever(Effect.andThen(check, Effect.sleep(PAUSE_MILLIS))))
  return { violations: Effect.map(endOf(fiber), (failure) => [...violations, ...failure]), checked: () => checked }
})
