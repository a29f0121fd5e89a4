/** The end of a soak: every fault is taken back, and the tables have to become equal to the chain. */
import { Effect } from "effect"
import { heal } from "../../test/chaos/actions.ts"
import { bookkeepingDifferences, differences } from "../../test/support/compare.ts"
import type { SoakStage } from "./stage.ts"
import { comparisonsOf, CONFIRMED } from "./tables.ts"

/** More than the longest pause between two attempts of a table, which is a minute. */
const HEAL_SECONDS = 180
const POLL_MILLIS = 1_000
/** Where rows wait for confirmations, the end of their range may not be known yet. */
const LATE_BLOCKS = 7

const notCaughtUp = ({ postgres, simulator }: SoakStage) =>
  Effect.map(
    postgres.database.query<{ table_name: string; state: string; reason: string | null; lag: string | null }>(
      `SELECT table_name, p.state, p.reason, $1::bigint - s.confirmations - p.watermark AS lag
       FROM _ampsync_progress p JOIN _ampsync_states s USING (table_name)
       WHERE p.state <> 'caught up' OR $1::bigint - s.confirmations - p.watermark > CASE s.confirmations WHEN 0 THEN 0 ELSE $2 END`,
      [String(simulator.chain.tip), LATE_BLOCKS]
    ),
    (rows) =>
      rows.map(({ lag, reason, state, table_name }) => `${table_name} is ${state}, ${lag} blocks behind: ${reason}`)
  )

/** Gives what differs from the chain within three minutes, one sentence each, and how many rows were compared. */
export const finish = Effect.fnUntraced(function*(stage: SoakStage) {
  yield* heal(stage)
  const until = Date.now() + HEAL_SECONDS * 1000
  let late = yield* notCaughtUp(stage)
  while (late.length > 0 && Date.now() < until) {
    yield* Effect.sleep(POLL_MILLIS)
    late = yield* notCaughtUp(stage)
  }
  const found: Array<string> = [...late]
  let rows = 0
  const [newest] = yield* stage.postgres.database.query<{ block: string }>(
    `SELECT max(_block_num) AS block FROM ${CONFIRMED}`
  )
  for (const table of comparisonsOf(BigInt(newest!.block))) {
    found.push(...yield* differences(stage.world, table.source, table))
    found.push(...yield* bookkeepingDifferences(stage.world, table.as, table.position))
    const [counted] = yield* stage.postgres.database.query<{ n: string }>(`SELECT count(*) AS n FROM ${table.as}`)
    rows += Number(counted!.n)
  }
  return { found, rows }
})
