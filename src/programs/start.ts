import { evaluateAhead } from "../layers/manifest-source/evaluateAhead.ts"
import { listenForSignals } from "../layers/signals/stop.ts"

/** The first thing a process does: heed signals, begin with what takes long, and load the rest of the program meanwhile. */
export const start = (): void => {
  listenForSignals()
  evaluateAhead()
  void import("./cli.ts").then(({ main }) => main())
}
