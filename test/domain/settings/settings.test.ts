import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { settingNames, settingOf, variablesOf } from "../../../src/domain/settings/settings.ts"

describe("settings", () => {
  it("describe each in one sentence, with its default or what it means to leave it out", () => {
    for (const name of settingNames) {
      const { accepts, default: fallback, description, whenUnset } = settingOf(name)
      assert.match(description, /^[A-Z][^\n]*[^.\n]\.$/, name)
      assert.notMatch(description, /\. [A-Z]/, name)
      assert.notMatch(accepts, /^[A-Z]|\.$/, name)
      assert.strictEqual((fallback === undefined) !== (whenUnset === undefined), true, name)
    }
  })

  it("accept their own defaults", () => {
    for (const name of settingNames) {
      const { default: fallback, schema } = settingOf(name)
      if (fallback !== undefined) Schema.decodeUnknownSync(schema)(fallback)
    }
  })

  it("have names that no two share", () => {
    const variables = settingNames.flatMap(variablesOf)
    assert.strictEqual(new Set(variables).size, variables.length)
    assert.includeMembers(variables, ["AMP_AUTH_TOKEN_FILE", "AMPSYNC_GRPC_MAX_DECODE_MB", "PGHOST"])
  })

  it("are read by the sync, and by resync exactly those that are about the database and the log", () => {
    for (const name of settingNames) {
      const { section, verbs } = settingOf(name)
      assert.includeMembers([...verbs], ["sync", "plan"], name)
      const isDatabase = ["database", "writing", "logging", "libpq"].includes(section)
      assert.strictEqual(verbs.includes("resync"), isDatabase, name)
    }
  })
})
