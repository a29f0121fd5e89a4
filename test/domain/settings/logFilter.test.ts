import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { parseLogFilter } from "../../../src/domain/settings/logFilter.ts"

const parsed = (text: string) => Result.getOrThrow(parseLogFilter(text))

describe("RUST_LOG", () => {
  it("is one level, or levels by target", () => {
    assert.deepStrictEqual(parsed("DEBUG"), { level: "debug", targets: [] })
    assert.deepStrictEqual(parsed("ampsync=debug,warn"), {
      level: "warn",
      targets: [{ target: "ampsync", level: "debug" }]
    })
    assert.deepStrictEqual(parsed(" warning , ampsync::table = trace ,"), {
      level: "warn",
      targets: [{ target: "ampsync::table", level: "trace" }]
    })
    assert.deepStrictEqual(parsed("ampsync::table"), {
      level: "info",
      targets: [{ target: "ampsync::table", level: "trace" }]
    })
  })

  it("takes ampsync alone as the target with all of its lines", () => {
    assert.deepStrictEqual(parsed("ampsync"), { level: "info", targets: [{ target: "ampsync", level: "trace" }] })
  })

  it("names a part with a wrong separator, and takes the others", () => {
    assert.deepStrictEqual(parsed("warn, info;ampsync=debug"), {
      level: "warn",
      targets: [],
      ignored: ["info;ampsync=debug"]
    })
  })

  it("is rejected with the word that is wrong", () => {
    assert.deepStrictEqual(parseLogFilter("ampsync=loud"), Result.fail("contains the unknown level \"loud\""))
    assert.deepStrictEqual(parseLogFilter("verbose"), Result.fail("contains the unknown level \"verbose\""))
    assert.deepStrictEqual(parseLogFilter("a=b=c"), Result.fail("contains \"a=b=c\""))
  })
})
