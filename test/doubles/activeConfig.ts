/** An active config for tests. */
import type { Manifest } from "../../src/domain/manifest/Manifest.ts"
import type { ActiveConfig } from "../../src/programs/reload/ActiveConfig.ts"
import type { DatasetInfo } from "../../src/services/AdminApi.ts"

/** A config whose queries are sent as they are written, with the Admin API's report of its dataset. */
export const activeConfigOf = (manifest: Manifest, info: DatasetInfo): ActiveConfig => ({
  config: manifest,
  manifest,
  dialect: info.dialect,
  info,
  sources: new Map(),
  warnings: []
})
