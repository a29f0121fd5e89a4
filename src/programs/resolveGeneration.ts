import { Effect } from "effect"
import { isExactRevision } from "../domain/Dataset.ts"
import type { Manifest } from "../domain/Manifest.ts"
import { AdminApi } from "../services/AdminApi.ts"
import type { Generation } from "./Generation.ts"
import { resolveReferences } from "./resolveReferences.ts"

/** Asks the server what a manifest means now: its dataset, and everything that its queries name. */
export const resolveGeneration = Effect.fn("resolveGeneration")(function*(config: Manifest) {
  const admin = yield* AdminApi
  const info = yield* admin.dataset(config.dataset)
  const { manifest, sources, warnings } = yield* resolveReferences(config, admin)
  const { dataset } = config
  const isPinned = info.dialect === "amp" || isExactRevision(dataset.revision)
  return {
    manifest: { ...manifest, dataset: isPinned ? { ...dataset, revision: info.version } : dataset },
    info,
    resolved: { config, sources, warnings }
  } satisfies Generation
})
