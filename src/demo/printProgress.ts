/** Prints the progress of the tables where there is no terminal that shows it. */
import { Clock, Effect } from "effect"
import { makeProgressReader } from "../programs/report/readProgress.ts"
import { Screen } from "../services/Screen.ts"
import { progressSentence } from "./display/progressSentence.ts"

const INTERVAL = "2 seconds"

/** Prints every two seconds a line per table that changed, until it is interrupted. */
export const printProgress = Effect.gen(function*() {
  const screen = yield* Screen
  if (screen.isInteractive) return yield* Effect.never
  const read = yield* makeProgressReader
  const printed = new Map<string, string>()
  while (true) {
    const now = new Date(yield* Clock.currentTimeMillis).toISOString().slice(11, 19)
    const { tables } = yield* read
    for (const progress of tables) {
      const [{ table }, sentence] = [progress.status, progressSentence(progress)]
      if (printed.get(table) === sentence) continue
      printed.set(table, sentence)
      yield* screen.print([`${now} ${sentence}`])
    }
    yield* Effect.sleep(INTERVAL)
  }
})
