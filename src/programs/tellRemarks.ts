import { Effect } from "effect"
import { AmpsyncConfig } from "../services/Config.ts"

/** Says what the settings leave to be said, before anything that they may have broken is tried. */
export const tellRemarks = Effect.flatMap(
  AmpsyncConfig,
  ({ remarks }) => Effect.forEach(remarks, (remark) => Effect.logWarning(remark), { discard: true })
)
