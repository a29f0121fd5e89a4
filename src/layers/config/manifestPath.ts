/** Checks that the config file exists and has a supported extension. */
import { Effect, Result } from "effect"
import { stat } from "node:fs/promises"
import { extname, resolve } from "node:path"
import { errorCode } from "../../domain/errorCode.ts"
import type { InvalidSetting } from "../../domain/settings/decode.ts"

const manifestExtensions: ReadonlyArray<string> = [".ts", ".js", ".mts", ".mjs", ".json"]

const allowed = "the path of an existing file with one of the extensions ts, js, mts, mjs, json"

/** Returns the absolute path; a relative one is resolved in the working directory. */
export const checkManifestPath = Effect.fnUntraced(function*(
  text: string
): Effect.fn.Return<Result.Result<string, InvalidSetting>> {
  const path = resolve(text)
  const invalid = (what: string) => Result.fail({ found: `${what}: ${JSON.stringify(path)}`, allowed })
  const extension = extname(path)
  if (extension === "") return invalid("names a file without an extension")
  if (!manifestExtensions.includes(extension)) return invalid("names a file with an extension that is not supported")
  const found = yield* Effect.result(Effect.tryPromise({
    try: () => stat(path),
    catch: errorCode
  }))
  if (Result.isFailure(found)) {
    const missing = found.failure === "ENOENT" || found.failure === "ENOTDIR"
    return invalid(missing ? "names a file that does not exist" : `names a file that cannot be read (${found.failure})`)
  }
  return found.success.isFile() ? Result.succeed(path) : invalid("is not the path of a file")
})
