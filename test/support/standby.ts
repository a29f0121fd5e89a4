/** Several processes with STANDBY on the same tables. */
import { Effect } from "effect"
import { TABLE_NAMES } from "../../src/simulator/tables.ts"
import { type AmpsyncProcess, startAmpsync } from "./ampsyncProcess.ts"
import { eventually } from "./eventually.ts"
import { holdsCanonicalChain } from "./snapshots.ts"
import type { World } from "./world.ts"

/** Starts one of them; `more` goes to its environment. */
export const startReserve = (world: World, more: Readonly<Record<string, string>> = {}) =>
  startAmpsync({ ...world.environment, STANDBY: "1", HEALTH_PORT: "0", ...more })

/** Waits until it takes part. */
export const begun = (process: AmpsyncProcess) => process.prints("Checkpoint tracking initialized")

/** Waits until it stands by. */
export const standsBy = (process: AmpsyncProcess) =>
  process.prints("is at work, and this process takes over all tables when it falls silent (STANDBY)")

const logs = (processes: ReadonlyArray<AmpsyncProcess>): string =>
  processes.map((process) => process.output().slice(-2000)).join("\n---\n")

/** The process id of the one that holds every table; undefined while that is not so. */
export const atWork = (world: World) =>
  Effect.map(
    world.database.query<{ writer: string | null }>(
      "SELECT DISTINCT writer FROM _ampsync_checkpoints c WHERE (SELECT count(*) FROM _ampsync_checkpoints) = $1",
      [TABLE_NAMES.length]
    ),
    (rows) => rows.length === 1 ? Number(/ pid (\d+) /.exec(rows[0]!.writer ?? "")?.[1]) : undefined
  )

/** Waits until all tables are held by `process`. */
export const takesOver = (world: World, process: AmpsyncProcess, timeoutMillis?: number) =>
  eventually(
    () => `process ${process.pid} holds every table:\n${logs([process])}`,
    Effect.map(atWork(world), (pid) => pid === process.pid),
    timeoutMillis
  )

/** Waits until one of two holds every table. */
export const pick = Effect.fnUntraced(function*(world: World, processes: ReadonlyArray<AmpsyncProcess>) {
  yield* eventually(
    () => `one of them holds every table:\n${logs(processes)}`,
    Effect.map(atWork(world), (pid) => processes.some((process) => process.pid === pid))
  )
  const pid = yield* atWork(world)
  const active = processes.find((process) => process.pid === pid)!
  return { active, spare: processes.find((process) => process !== active)! }
})

/** Waits until every table holds the canonical chain. */
export const complete = (world: World, processes: ReadonlyArray<AmpsyncProcess>) =>
  eventually(() => `the tables hold the chain:\n${logs(processes)}`, holdsCanonicalChain(world))
