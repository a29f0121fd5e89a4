import { evaluateAhead } from "../layers/manifest-source/evaluateAhead.ts"
import { listenForSignals } from "../layers/signals/stop.ts"

/** Listens for signals, begins to evaluate the config file, which takes long, and loads the rest of the program meanwhile. */
export const start = (): void => {
  listenForSignals()
  evaluateAhead()
  void import("./cli.ts").then(({ main }) => main())
}
