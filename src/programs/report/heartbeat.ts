import { Effect, Schedule } from "effect"
import { TableLeases } from "../../services/TableLeases.ts"

/** Others take over after three of these stay out. */
const INTERVAL = "2 seconds"
const PATIENCE = "3 seconds"

/** Says that this process is alive, now and then in the background for as long as the scope is open. */
export const keepAlive = Effect.gen(function*() {
  const leases = yield* TableLeases
  // Not being able to say so is no reason to stop: the next commit fails by itself if the right to write is gone.
  // One that hangs in a dead connection ends, so that the next can go by another before others give us up.
  const beat = Effect.ignore(Effect.timeout(leases.heartbeat, PATIENCE))
  yield* beat
  yield* Effect.forkScoped(Effect.repeat(Effect.delay(beat, INTERVAL), Schedule.forever))
})
