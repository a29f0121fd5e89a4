import { assert, describe, it } from "@effect/vitest"
import { didYouMean } from "../../src/domain/didYouMean.ts"

describe("an unknown name", () => {
  it("suggests a known one that differs in case, or by a typo or two after the first letter", () => {
    const known = ["DATABASE_URL", "AMP_FLIGHT_ADDR", "TABLES", "sql"]
    const cases: ReadonlyArray<readonly [string, string | undefined]> = [
      ["database_url", "DATABASE_URL"],
      ["DATABSE_URL", "DATABASE_URL"],
      ["DATABASE_ULR", "DATABASE_URL"],
      ["AMP_FLIGHT_ADRR", "AMP_FLIGHT_ADDR"],
      ["AMP_FLIGHT_ADDRESS", undefined],
      ["AMP_FLIGTH_ADDR", "AMP_FLIGHT_ADDR"],
      ["AMP_FLIGTH_ARRD", undefined],
      ["XDATABASE_URL", undefined],
      ["TABLE", "TABLES"],
      ["CABLES", undefined],
      ["sqll", "sql"],
      ["slq", "sql"],
      ["sqlite", undefined],
      ["seq", undefined],
      ["", undefined],
      ["DATABASE_URL", undefined]
    ]
    for (const [name, meant] of cases) assert.strictEqual(didYouMean(name, known), meant, name)
  })

  it("suggests the closest of several", () => {
    assert.strictEqual(didYouMean("DATABASE_PORTS", ["DATABASE_HOST", "DATABASE_PORT"]), "DATABASE_PORT")
    assert.strictEqual(didYouMean("names", ["namespace", "name"]), "name")
    assert.isUndefined(didYouMean("name", ["names", "name"]), "a known name is never a typo")
  })
})
