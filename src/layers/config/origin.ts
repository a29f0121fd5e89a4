/** What defines the tables to fill: a config file, or a dataset with the names of its tables; exactly one of the two. */
import { Effect, Result } from "effect"
import { both, decodeSettings, type Problems, type SettingTexts } from "../../domain/settings/decode.ts"
import { settingOf } from "../../domain/settings/settings.ts"
import type { ManifestOrigin } from "../../services/Config.ts"
import { checkManifestPath } from "./manifestPath.ts"

type Read = Result.Result<ManifestOrigin, Problems>

/** Reads `DATASET_MANIFEST`, or `DATASET` and `TABLES`. Succeeds with the problems where neither is usable. */
export const readOrigin = Effect.fnUntraced(function*(texts: SettingTexts): Effect.fn.Return<Read> {
  const { DATASET, DATASET_MANIFEST: file, TABLES } = texts
  if (file !== undefined) return Result.map(both(yield* readPath(file), noDataset(texts)), ([origin]) => origin)
  if (DATASET !== undefined || TABLES !== undefined) return readDataset(texts)
  return missing("DATASET_MANIFEST", settingOf("DATASET_MANIFEST").accepts)
})

const readPath = (file: string): Effect.Effect<Read> =>
  Effect.map(
    checkManifestPath(file),
    Result.mapBoth({
      onSuccess: (path) => ({ _tag: "File" as const, path }),
      onFailure: (problem) => [{ variable: "DATASET_MANIFEST", ...problem }]
    })
  )

const noDataset = (texts: SettingTexts): Result.Result<void, Problems> => {
  const set = (["DATASET", "TABLES"] as const).filter((variable) => texts[variable] !== undefined)
  return set.length === 0 ? Result.succeed(undefined) : Result.fail(set.map((variable) => ({
    variable,
    found: "is set together with DATASET_MANIFEST",
    allowed: "DATASET_MANIFEST, or DATASET together with TABLES"
  })))
}

const readDataset = (texts: SettingTexts): Read => {
  const dataset = Result.flatMap(
    decodeSettings(["DATASET"], texts),
    ({ DATASET }) =>
      DATASET === undefined
        ? missing("DATASET", `${settingOf("DATASET").accepts}, beside TABLES`)
        : Result.succeed(DATASET)
  )
  const tables = Result.flatMap(
    decodeSettings(["TABLES"], texts),
    ({ TABLES }) =>
      TABLES === undefined
        ? missing("TABLES", "names of tables, separated by commas, beside DATASET")
        : Result.succeed(TABLES)
  )
  return Result.map(both(dataset, tables), ([reference, tables]) => ({ _tag: "Dataset", reference, tables }))
}

const missing = (variable: string, allowed: string): Result.Result<never, Problems> =>
  Result.fail([{ variable, found: "is not set", allowed }])
