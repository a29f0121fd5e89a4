import { evaluateAhead } from "../layers/manifest-source/evaluateAhead.ts"

/** The first thing a process does: begin with what takes long, and load the rest of the program meanwhile. */
export const start = (): void => {
  evaluateAhead()
  void import("./cli.ts").then(({ main }) => main())
}
