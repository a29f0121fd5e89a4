import { assert, describe, it } from "@effect/vitest"
import { jsonbText } from "../../../src/domain/verify/jsonbText.ts"

describe("jsonbText", () => {
  const cases: ReadonlyArray<readonly [given: string, printed: string]> = [
    [`{"bb":1,"a":2,"C":[],"a":{}}`, `{"C": [], "a": {}, "bb": 1}`],
    [`{"\u00e9":1,"zz":2,"z":3}`, `{"z": 3, "zz": 2, "\u00e9": 1}`],
    [
      `[1,-2.50,0.0,-0,-0.0,1e3,1.5e3,1e-7,1.5e-7,12e-1,1e+21]`,
      `[1, -2.50, 0.0, 0, 0.0, 1000, 1500, 0.0000001, 0.00000015, 1.2, 1000000000000000000000]`
    ],
    [`"\\u0001\\u0008\\n\\"\\\\ \u007f\u2028"`, `"\\u0001\\b\\n\\"\\\\ \u007f\u2028"`],
    ["null", "null"],
    ["true", "true"]
  ]
  for (const [given, printed] of cases) {
    it(`prints ${given} as PostgreSQL does`, () => assert.strictEqual(jsonbText(given), printed))
  }

  it("rejects what is no JSON", () => {
    for (const broken of ["", "{", "[1", `{"a"}`, "1 2", "1.e"]) assert.throws(() => jsonbText(broken), SyntaxError)
  })
})
