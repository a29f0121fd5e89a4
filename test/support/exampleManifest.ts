import { Result } from "effect"
import { decodeManifest, type Manifest } from "../../src/domain/manifest/Manifest.ts"

/** The config `example` with a table `t`, but for the entries that a test gives. */
export const exampleManifest = (entries: object = {}): Manifest =>
  Result.getOrThrow(decodeManifest({ name: "example", tables: { t: { sql: "SELECT 1" } }, ...entries }))
