import { extname, resolve } from "node:path"
import { Evaluation } from "./Evaluation.ts"

/** How long a config file that is code may run. */
export const EVALUATION_MILLIS = 10_000

/** Of this process: it was begun before there was anything that could hold it. */
let ahead: { readonly path: string; readonly evaluation: Evaluation } | undefined

/**
 * Begins to evaluate the config file that the environment names, before the program itself is loaded. The compiler of
 * TypeScript takes as long to load as all the rest of a start, and does so on another core.
 */
export const prefetchConfig = (): void => {
  const name = process.env["DATASET_MANIFEST"]?.trim()
  // A verb, or a question for help, may need no config.
  if (name === undefined || name === "" || process.argv.length > 2 || extname(name) === ".json") return
  const path = resolve(name)
  ahead = { path, evaluation: new Evaluation(path, EVALUATION_MILLIS) }
}

/** The evaluation of `path` that was begun ahead; once. */
export const takePrefetched = (path: string): Evaluation | undefined => {
  if (ahead?.path !== path) return undefined
  const { evaluation } = ahead
  ahead = undefined
  return evaluation
}
