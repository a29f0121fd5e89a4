import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { levelOfTarget, parseLogFilter } from "../../../src/domain/settings/logFilter.ts"

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

  it("takes the crate that the first ampsync had for PostgreSQL as the target of that", () => {
    for (const directive of ["sqlx=error", "sqlx::query=error"]) {
      assert.deepStrictEqual(parsed(`warn,${directive}`), {
        level: "warn",
        targets: [{ target: "ampsync::pg_pool", level: "error" }]
      })
    }
  })

  it("decides by the longest target, by whole modules, and by the last of two that are equal", () => {
    const levelIn = (text: string, target: string) => levelOfTarget(parsed(text), target)
    for (const text of ["warn,ampsync=debug,ampsync::table=off", "ampsync::table=off,warn,ampsync=debug"]) {
      assert.strictEqual(levelIn(text, "ampsync::table"), "off")
      assert.strictEqual(levelIn(text, "ampsync::table::inner"), "off")
      assert.strictEqual(levelIn(text, "ampsync::tables"), "debug")
      assert.strictEqual(levelIn(text, "ampsync"), "debug")
      assert.strictEqual(levelIn(text, "h2"), "warn")
    }
    assert.strictEqual(levelIn("ampsync=debug,ampsync=error", "ampsync"), "error")
  })

  it("names a directive for no target or for a span, takes the others, and says nothing of other programs", () => {
    assert.deepStrictEqual(
      parsed("warn,ampsync::tabel=debug,ampsync[run]=trace,[{table=x}]=info,h2=off,ampsync::table=info"),
      {
        level: "warn",
        targets: [{ target: "h2", level: "off" }, { target: "ampsync::table", level: "info" }],
        ignored: ["ampsync::tabel=debug", "ampsync[run]=trace", "[{table=x}]=info"]
      }
    )
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
