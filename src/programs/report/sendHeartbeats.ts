import { Effect, Ref, Schedule } from "effect"
import * as log from "../../domain/logLines.ts"
import { inTarget } from "../../domain/logTargets.ts"
import { TableLeases } from "../../services/TableLeases.ts"
import { nameOf } from "../timeLimit.ts"

/** Other processes take over once three heartbeats are missing. */
const INTERVAL = "2 seconds"
const TIMEOUT = "3 seconds"

/**
 * Sends the heartbeat of this process to the database, in the background for as long as the scope is open; runs `onRecorded`
 * after each. The first that fails is logged, and the next that does not.
 */
export const sendHeartbeats = Effect.fnUntraced(function*(onRecorded: Effect.Effect<void>) {
  const leases = yield* TableLeases
  const database = yield* nameOf("database")
  const isMissing = yield* Ref.make(false)
  // One that hangs in a dead connection ends, so that the next can use another before others take over.
  const recorded = leases.heartbeat.pipe(
    Effect.timeoutOrElse({ duration: TIMEOUT, orElse: () => Effect.fail({ message: `no answer within ${TIMEOUT}` }) }),
    Effect.andThen(Ref.getAndSet(isMissing, false)),
    Effect.tap((wasMissing) => wasMissing ? Effect.logInfo(log.heartbeatRecorded) : Effect.void),
    Effect.andThen(onRecorded)
  )
  // A heartbeat that fails is no reason to stop: the next commit fails by itself if the lease is lost.
  const beat = Effect.catch(recorded, ({ message }) =>
    Effect.flatMap(
      Ref.getAndSet(isMissing, true),
      (wasMissing) => wasMissing ? Effect.void : Effect.logWarning(log.heartbeatMissing(database, message))
    )).pipe(inTarget("ampsync::report"))
  yield* beat
  yield* Effect.forkScoped(Effect.repeat(Effect.delay(beat, INTERVAL), Schedule.forever))
})
