import { assert, describe, it } from "@effect/vitest"
import { settingNames, settingOf, variablesOf } from "../../src/domain/settings/settings.ts"
import { pageOf, tableRows } from "./pages.ts"

const page = pageOf("README.md")

describe("README.md", () => {
  it("is read in a few minutes", () => assert.isAtMost(page.lines, 150))

  it("has the ten settings that most people need, with their defaults", () => {
    const rows = tableRows(page, "settings")
    assert.lengthOf(rows, 10)
    for (const [variable, fallback] of rows) {
      const name = settingNames.find((name) => variablesOf(name).some((own) => variable === `\`${own}\``))
      assert.isDefined(name, `${variable} is a setting`)
      const standard = settingOf(name!).default
      if (standard === undefined) assert.notInclude(fallback!, "`")
      else assert.strictEqual(fallback, `\`${standard}\``)
    }
  })
})
