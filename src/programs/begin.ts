import { prefetchConfig } from "../layers/manifest-source/prefetchConfig.ts"
import { listenForSignals } from "../layers/signals/stop.ts"

/** Listens for signals, begins to evaluate the config file, which takes long, and loads the rest of the program meanwhile. */
export const begin = (): void => {
  listenForSignals()
  prefetchConfig()
  void import("./cli.ts").then(({ main }) => main())
}
