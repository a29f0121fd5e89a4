/** Who may use the rows of one table: its writer, or a build of its keys, whose lock keeps writers out. */
import { Effect, Semaphore } from "effect"

/**
 * A chunk that waited for the lock of a build instead would keep a connection and a permit from other tables, and give up
 * soon.
 */
export interface Turn {
  /** Runs `write` once no build is at work. */
  readonly write: <A, E, R>(write: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs `build` once the last chunk is committed; the next one waits until it has ended. */
  readonly build: <A, E, R>(build: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs `effect` where nobody has the turn. */
  readonly ifFree: <E, R>(effect: Effect.Effect<void, E, R>) => Effect.Effect<void, E, R>
  /** A build is at work, for which rows wait. */
  readonly isBuilding: () => boolean
}

/** The turn of a table that nobody has. */
export const makeTurn: Effect.Effect<Turn> = Effect.map(Semaphore.make(1), (semaphore) => {
  let isBuilding = false
  const set = (value: boolean) =>
    Effect.sync(() => {
      isBuilding = value
    })
  return {
    write: (write) => semaphore.withPermit(write),
    build: (build) => semaphore.withPermit(Effect.acquireUseRelease(set(true), () => build, () => set(false))),
    ifFree: (effect) => Effect.asVoid(semaphore.withPermitsIfAvailable(1)(effect)),
    isBuilding: () => isBuilding
  }
})
