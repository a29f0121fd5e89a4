/** What happens to the processes of the sync. */
import { Effect } from "effect"
import type { Stage } from "../stage.ts"
import { type Acts, at } from "./act.ts"
import { depthOf } from "./chain.ts"

const MINUTE_MILLIS = 60_000
/** A minute, ten, an hour and a day, in both directions. */
const JUMPS_MILLIS = [1, 10, 60, 1440].flatMap((minutes) => [minutes * MINUTE_MILLIS, -minutes * MINUTE_MILLIS])

const POLL_MILLIS = 100
/** Longer than a heartbeat lives. */
const TAKE_OVER_MILLIS = 9000
const CHANGES = 5
const CHANGE_MILLIS = 150

/** The process that writes the table, by its number; undefined where there is none. */
const writerOf = ({ postgres, processes }: Stage) =>
  Effect.gen(function*() {
    const present = yield* postgres.database.query("SELECT WHERE to_regclass('_ampsync_checkpoints') IS NOT NULL")
    if (present.length === 0) return undefined
    const [row] = yield* postgres.database.query<{ writer: string }>(
      "SELECT writer FROM _ampsync_checkpoints WHERE table_name = 'blocks' AND writer IS NOT NULL"
    )
    const pid = Number(/ pid (\d+) /.exec(row?.writer ?? "")?.[1])
    const index = processes.findIndex((process) => process.pid() === pid)
    return index < 0 ? undefined : index
  })

/** Blocks and reorgs, so that what the writer before knows is no longer so. */
const changeChain = (stage: Stage, depth: number) =>
  Effect.gen(function*() {
    for (let change = 0; change < CHANGES; change++) {
      if (change % 2 === 0) stage.simulator.reorg(depthOf(stage, depth), depth + 1)
      else stage.simulator.mine(3)
      yield* Effect.sleep(CHANGE_MILLIS)
    }
  })

export const processActs = {
  "kill": ({ processes }, { millis, target }) => at(processes, target).kill(millis),
  "terminate": ({ processes }, { millis, target }) => at(processes, target).terminate(millis),
  "pause": ({ processes }, { millis, target }) => at(processes, target).pause(Effect.sleep(millis)),
  // The writer stands still, another one takes over and replaces rows, and then the first goes on with what it had begun.
  "take-over": (stage, { amount, target }) =>
    Effect.gen(function*() {
      const { postgresProxies, processes } = stage
      const writer = (yield* writerOf(stage)) ?? target
      const meanwhile = Effect.gen(function*() {
        // What the writer does first when it goes on: a deletion, which no unique key stops.
        yield* changeChain(stage, amount)
        const until = Date.now() + TAKE_OVER_MILLIS
        while (processes.length > 1 && Date.now() < until) {
          const now = yield* writerOf(stage)
          if (now !== undefined && now !== writer) break
          yield* Effect.sleep(POLL_MILLIS)
        }
        yield* changeChain(stage, amount)
      })
      if (target % 3 > 0) yield* at(processes, writer).pause(meanwhile)
      else {
        at(postgresProxies, writer).freeze()
        yield* meanwhile
        at(postgresProxies, writer).restore()
      }
      yield* changeChain(stage, amount)
    }),
  "clock-jump": ({ processes }, { amount, target }) =>
    at(processes, target).setClock(at(JUMPS_MILLIS, amount + Math.floor(target / processes.length)))
} as const satisfies Acts<string>
