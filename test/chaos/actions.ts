/** Carries out the actions of a schedule. A fault that lasts is ended by its own action. */
import { Effect } from "effect"
import type { Act, Acts } from "./actions/act.ts"
import { chainActs } from "./actions/chain.ts"
import { configActs } from "./actions/config.ts"
import { databaseActs } from "./actions/database.ts"
import { flightActs } from "./actions/flight.ts"
import { processActs } from "./actions/processes.ts"
import { sessionActs } from "./actions/sessions.ts"
import type { ActionKind } from "./schedule.ts"
import type { Stage } from "./stage.ts"

const acts: Acts<ActionKind> = {
  ...chainActs,
  ...flightActs,
  ...processActs,
  ...databaseActs,
  ...sessionActs,
  ...configActs
}

/** Carries out an action, and ends when its effect has ended. */
export const perform: Act = (stage, action) => acts[action.kind](stage, action)

/** One by one, so that what waits for confirmations gets them. */
const LAST_BLOCKS = 5
const LAST_BLOCKS_MILLIS = 60

/** Ends every fault that is left, and makes every block that was mined visible. */
export const heal = (stage: Stage): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { flightProxy, postgres, postgresProxies, simulator } = stage
    simulator.faults.clear()
    for (const proxy of [flightProxy, ...postgresProxies]) proxy.restore()
    yield* postgres.reset
    yield* stage.writeConfig(stage.configWithout())
    simulator.mine(30)
    for (let left = LAST_BLOCKS; left > 0; left--) {
      simulator.mine(1)
      yield* Effect.sleep(LAST_BLOCKS_MILLIS)
    }
  })
