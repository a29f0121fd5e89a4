import { assert, describe, it } from "@effect/vitest"
import { withoutSecret } from "../../src/domain/withoutSecret.ts"

const SECRET = "t0k+n/s3cr%t\"~?>"

describe("a text of a server", () => {
  it("I7 is without the secret that was sent, in every usual encoding", () => {
    const bytes = Buffer.from(SECRET)
    const encoded = [
      SECRET,
      JSON.stringify(SECRET),
      encodeURIComponent(SECRET),
      encodeURIComponent(SECRET).toLowerCase(),
      encodeURI(SECRET),
      JSON.stringify(JSON.stringify(SECRET)),
      bytes.toString("hex").toUpperCase(),
      bytes.toString("hex"),
      bytes.toString("base64"),
      bytes.toString("base64url")
    ]
    for (const text of encoded) {
      const left = withoutSecret(`before ${text} after ${text}`, SECRET)
      assert.match(left, /^before [\\"]*<redacted>[\\"]*=* after [\\"]*<redacted>[\\"]*=*$/, text)
    }
  })

  it("I7 is without it also where it is a part of a header in Base64", () => {
    for (const before of ["", "u", "us", "use"]) {
      const header = Buffer.from(`${before}${SECRET}after`)
      for (const text of [header.toString("base64"), header.toString("base64url")]) {
        assert.notInclude(Buffer.from(withoutSecret(text, SECRET), "base64").toString("latin1"), SECRET.slice(2, -2))
        assert.include(withoutSecret(text, SECRET), "<redacted>")
      }
    }
  })

  it("is as it was where nothing was sent", () => {
    assert.strictEqual(withoutSecret("no token", undefined), "no token")
    assert.strictEqual(withoutSecret("no token", SECRET), "no token")
    assert.strictEqual(withoutSecret("no token", ""), "no token")
  })
})
