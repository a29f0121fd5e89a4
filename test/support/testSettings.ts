/** Settings of a process under test, as the layers see them. */
import type { Layer } from "effect"
import { fileURLToPath } from "node:url"
import { layerFrom, type Settings, type SettingValues } from "../../src/layers/Config.ts"
import type { ConfigError } from "../../src/services/Config.ts"
import type { TestDatabase } from "./postgres.ts"

const someManifest = fileURLToPath(new URL("../fixtures/manifests/amp.config.json", import.meta.url))

/** Settings that point at the schema of a test; what is not named has its default. */
export const testSettings = (
  database: TestDatabase,
  values: SettingValues = {}
): Layer.Layer<Settings, ConfigError> =>
  layerFrom({
    DATASET_MANIFEST: someManifest,
    DATABASE_URL: database.url,
    DATABASE_SCHEMA: database.schema,
    ...values
  })
