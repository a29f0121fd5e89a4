/** Runs one schedule under the eyes of the judges. */
import { Cause, Effect, Exit, Fiber, Logger } from "effect"
import { type ExpectedRow, expectedRows } from "../../src/simulator/expected.ts"
import type { TableName } from "../../src/simulator/tables.ts"
import { bookkeepingDifferences, type Comparison, differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { watchLatest } from "../support/latestSnapshots.ts"
import { watchSnapshots } from "../support/snapshots.ts"
import { heal, perform } from "./actions.ts"
import { watchLedger } from "./ledger.ts"
import type { Schedule } from "./schedule.ts"
import { setStage, type Stage } from "./stage.ts"
import { type ChaosTable, chaosTables, PAUSE_MILLIS, wholeTables } from "./tables.ts"

/** More than the longest pause between two attempts of a table, which is a minute. */
const HEAL_SECONDS = 180
const HEAL_POLL_MILLIS = 200
const MINE_EVERY_POLLS = 5
/** By which a table may be behind that waits for the next range. */
const LATE_BLOCKS = 5

export interface RunOptions {
  /** Within which the tables must be equal to the chain, once every fault has ended. */
  readonly healSeconds?: number
  /** Called when an action begins or ends. */
  readonly trace?: (line: string) => void
}

export interface Result {
  readonly schedule: Schedule
  /** What was found, one sentence each; empty where the promise held. */
  readonly violations: ReadonlyArray<string>
  /** Snapshots of one table whose bookkeeping was checked. */
  readonly snapshots: number
  /** Different watermarks, and blocks of `_ampsync_latest`, whose rows were checked. */
  readonly watermarks: number
  /** Rows compared by value at the end. */
  readonly rows: number
  readonly healSeconds: number
  readonly seconds: number
  /** The end of what the processes wrote, where there is a violation. */
  readonly logs: string
}

/** What differs between a table and the chain, and the rows that were compared. */
const compareTable = Effect.fnUntraced(function*(
  { postgres, simulator, world }: Stage,
  table: ChaosTable,
  expected: ReadonlyArray<ExpectedRow>
) {
  const { as, confirmations, position, source } = table
  const { chain, startBlock } = simulator
  let last = chain.tip
  if (confirmations !== undefined) {
    // What is confirmed is up to when the next ranges came.
    const [newest] = yield* postgres.database.query<{ block: string | null }>(
      `SELECT max(${position}) AS block FROM ${as}`
    )
    last = BigInt(newest?.block ?? -1)
    const late = chain.tip - BigInt(confirmations + LATE_BLOCKS)
    if (chain.countRows(source, last + 1n, late) > 0) return { found: [`${as}: ends at block ${last}`], rows: 0 }
  }
  const where: Comparison["where"] = (row) =>
    table.where?.(row) !== false && (confirmations === undefined || BigInt(row["_block_num"]!) <= last)
  const found = yield* differences(world, source, { ...table, where, expected })
  return { found, rows: chain.countRows(source, startBlock, last) }
})

/** What keeps the tables from being equal to the chain, and the rows that were compared. */
const compare = Effect.fnUntraced(function*(stage: Stage) {
  const { postgres, simulator, world } = stage
  const states = yield* postgres.database.query<{ table_name: string; state: string; reason: string | null }>(
    `SELECT table_name, state, reason FROM _ampsync_progress
     WHERE state NOT IN ('caught up', 'catching up', 'standby')`
  )
  const found = states.map(({ reason, state, table_name }) => `${table_name} is ${state}: ${reason ?? "no reason"}`)
  const keyless = yield* postgres.database.query<{ table: string }>(
    `SELECT c.relname AS table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY($2)
       AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid)`,
    [postgres.database.schema, chaosTables.map(({ as }) => as)]
  )
  found.push(...keyless.map(({ table }) => `${table} has no primary key`))
  const late = simulator.chain.tip - BigInt(LATE_BLOCKS)
  // The watermark of a nozzle table comes with the next range.
  const behind = yield* postgres.database.query<{ table_name: string; watermark: string | null }>(
    `SELECT table_name, max_block_num AS watermark FROM _ampsync_checkpoints
     WHERE max_block_num IS NULL OR max_block_num < $1 AND NOT table_name = ANY($2)`,
    [late, chaosTables.filter(({ confirmations }) => confirmations !== undefined).map(({ as }) => as)]
  )
  found.push(...behind.map(({ table_name, watermark }) => `${table_name} has the watermark ${watermark}`))
  const counts = yield* postgres.database.query<{ table_name: string; rows: string }>(
    "SELECT table_name, rows FROM _ampsync_checkpoints WHERE table_name = ANY($1)",
    [wholeTables]
  )
  for (const { rows, table_name } of counts) {
    const wanted = simulator.chain.countRows(table_name as TableName, simulator.startBlock)
    if (rows !== String(wanted)) found.push(`${table_name} has ${rows} rows instead of ${wanted}`)
  }
  let rows = 0
  for (const table of chaosTables) {
    // Rows are compared once what takes no time is right.
    if (found.length === 0) found.push(...yield* bookkeepingDifferences(world, table.as, table.position))
  }
  const expected = new Map<TableName, ReadonlyArray<ExpectedRow>>()
  for (const table of chaosTables) {
    if (found.length > 0) break
    const { source } = table
    if (!expected.has(source)) expected.set(source, [...expectedRows(simulator.chain, source, simulator.startBlock)])
    const compared = yield* compareTable(stage, table, expected.get(source)!)
    found.push(...compared.found)
    rows += compared.rows
  }
  return { found, rows }
})

const exists = ({ postgres: { database } }: Stage) =>
  Effect.map(
    database.query("SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = ANY($2) HAVING count(*) = $3", [
      database.schema,
      ["_ampsync_checkpoints", ...chaosTables.map(({ as }) => as)],
      chaosTables.length + 1
    ]),
    (rows) => rows.length > 0
  )

const awaitHealed = Effect.fnUntraced(function*(
  stage: Stage,
  withinSeconds: number,
  log: (what: string) => Effect.Effect<void>
) {
  const until = Date.now() + withinSeconds * 1000
  for (let poll = 1;; poll++) {
    const { found, rows } = (yield* exists(stage))
      ? yield* compare(stage)
      : { found: ["not all tables are there"], rows: 0 }
    if (found.length === 0) return rows
    if (Date.now() > until) {
      for (const what of found) stage.violated(`not healed within ${withinSeconds} s: ${what}`)
      return rows
    }
    // A reorg that only removes rows shows when the next rows arrive.
    if (poll % MINE_EVERY_POLLS === 0) {
      stage.simulator.mine(1)
      yield* log(`not healed yet: ${found[0]?.slice(0, 200)}`)
    }
    yield* Effect.sleep(HEAL_POLL_MILLIS)
  }
})

const run = Effect.fnUntraced(function*(
  schedule: Schedule,
  home: string,
  { healSeconds: withinSeconds = HEAL_SECONDS, trace = () => undefined }: RunOptions
) {
  const started = Date.now()
  const log = (what: string) =>
    Effect.sync(() => trace(`${((Date.now() - started) / 1000).toFixed(2).padStart(7)} s  ${what}`))
  const stage = yield* setStage(schedule, home)
  const snapshots = yield* watchSnapshots(stage.world, wholeTables, stage.chains, PAUSE_MILLIS)
  const latest = yield* watchLatest(stage.world, stage.chains, { readers: 1, pauseMillis: PAUSE_MILLIS })
  const ledger = yield* watchLedger(stage.world, stage.chains, stage.postgres.generation)
  if (schedule.waitsForTables) yield* eventually("the tables are there", exists(stage), HEAL_SECONDS * 1000)
  const begin = Date.now()
  const actions = yield* Effect.forEach(
    schedule.actions,
    (action, index) =>
      Effect.sleep(Math.max(0, begin + action.atMillis - Date.now())).pipe(
        Effect.andThen(log(`action ${index} (${action.kind}) begins`)),
        Effect.andThen(Effect.suspend(() => perform(stage, action))),
        Effect.andThen(log(`action ${index} (${action.kind}) has ended`)),
        Effect.forkScoped
      )
  )
  for (const [index, exit] of (yield* Fiber.awaitAll(actions)).entries()) {
    if (Exit.isFailure(exit)) stage.violated(`action ${index} failed: ${Cause.pretty(exit.cause)}`)
  }
  yield* heal(stage)
  const healing = Date.now()
  yield* log("every fault has ended")
  const rows = yield* awaitHealed(stage, withinSeconds, log)
  yield* log("healed")
  const healSeconds = (Date.now() - healing) / 1000
  const judged = [yield* snapshots.violations, yield* latest.violations, yield* ledger.violations].flat()
  // What readers saw first: it explains why a table does not heal.
  const violations = [...judged, ...stage.violations]
  return {
    schedule,
    violations,
    snapshots: ledger.checked(),
    watermarks: snapshots.checked() + latest.checked(),
    rows,
    healSeconds,
    seconds: (Date.now() - started) / 1000,
    logs: violations.length === 0 ? "" : stage.processes.map((process) => process.logTail()).join("\n")
  } satisfies Result
})

/** Runs a schedule with the PostgreSQL whose files are in `home`; everything is stopped afterwards. */
export const runSchedule = (
  schedule: Schedule,
  home: string,
  options: RunOptions = {}
): Effect.Effect<Result> =>
  // A server that is made to crash is reported by the layer that started it.
  Effect.scoped(run(schedule, home, options)).pipe(Effect.provide(Logger.layer([])))
