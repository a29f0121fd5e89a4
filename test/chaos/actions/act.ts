/** What an action does, as a function of the stage. */
import { Effect } from "effect"
import type { Action } from "../schedule.ts"
import type { Stage } from "../stage.ts"

export type Act = (stage: Stage, action: Action) => Effect.Effect<void>

export type Acts<Kind extends string> = Readonly<Record<Kind, Act>>

/** The element at `index`, taken modulo their number. */
export const at = <A>(list: ReadonlyArray<A>, index: number): A => list[index % list.length]!

/** Something that happens at once. */
export const act = (what: (stage: Stage, action: Action) => void): Act => (stage, action) =>
  Effect.sync(() => what(stage, action))

/** A fault that lasts for the time of its action. */
export const lasting =
  (begin: (stage: Stage, action: Action) => void, end: (stage: Stage, action: Action) => void): Act =>
  (stage, action) =>
    Effect.andThen(
      Effect.sync(() => begin(stage, action)),
      Effect.andThen(Effect.sleep(action.millis), Effect.sync(() => end(stage, action)))
    )
