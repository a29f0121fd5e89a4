/** An evaluation of the config file that begins before the program is loaded. */
import { extname, resolve } from "node:path"
import { Evaluation } from "./Evaluation.ts"

/** How long a config file that is code may run. */
export const EVALUATION_MILLIS = 10_000

/** Module state, because nothing else exists yet when it begins. */
let prefetched: { readonly path: string; readonly evaluation: Evaluation } | undefined

/**
 * Begins to evaluate the config file that the environment names, before the program itself is loaded. The compiler of
 * TypeScript takes as long to load as the rest of a start, and does so on another core.
 */
export const prefetchConfig = (): void => {
  const name = process.env["DATASET_MANIFEST"]?.trim()
  // A verb or `--help` may need no config.
  if (name === undefined || name === "" || process.argv.length > 2 || extname(name) === ".json") return
  const path = resolve(name)
  prefetched = { path, evaluation: new Evaluation(path, EVALUATION_MILLIS) }
}

/** Returns the prefetched evaluation of `path`, once. */
export const takePrefetched = (path: string): Evaluation | undefined => {
  if (prefetched?.path !== path) return undefined
  const { evaluation } = prefetched
  prefetched = undefined
  return evaluation
}
