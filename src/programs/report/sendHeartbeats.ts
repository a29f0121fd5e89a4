import { Effect, Schedule } from "effect"
import { TableLeases } from "../../services/TableLeases.ts"

/** Other processes take over once three heartbeats are missing. */
const INTERVAL = "2 seconds"
const TIMEOUT = "3 seconds"

/** Sends the heartbeat of this process to the database, in the background for as long as the scope is open; runs `onRecorded` after each. */
export const sendHeartbeats = Effect.fnUntraced(function*(onRecorded: Effect.Effect<void>) {
  const leases = yield* TableLeases
  // A heartbeat that fails is no reason to stop: the next commit fails by itself if the lease is lost.
  // One that hangs in a dead connection ends, so that the next can use another before others take over.
  const beat = Effect.ignore(Effect.andThen(Effect.timeout(leases.heartbeat, TIMEOUT), onRecorded))
  yield* beat
  yield* Effect.forkScoped(Effect.repeat(Effect.delay(beat, INTERVAL), Schedule.forever))
})
