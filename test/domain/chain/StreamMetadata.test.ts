import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { MalformedMetadata, parseStreamMetadata } from "../../../src/domain/chain/StreamMetadata.ts"

const hash = `0x${"ab".repeat(32)}`
const parent = `0x${"0f".repeat(32)}`
const zero = `0x${"00".repeat(32)}`
const bytes = (json: unknown) => new TextEncoder().encode(typeof json === "string" ? json : JSON.stringify(json))
const parse = (json: unknown) => Result.getOrThrow(parseStreamMetadata(bytes(json)))
const wire = { numbers: { start: 100, end: 149 }, network: "anvil", hash, prev_hash: parent }
const parsed = { network: "anvil", start: 100n, end: 149n, hash, prevHash: parent, timestamp: undefined }

describe("the metadata of a message", () => {
  it("of a nozzle server has ranges and does not declare whether they are complete", () => {
    assert.deepStrictEqual(parse({ ranges: [wire] }), { ranges: [parsed], complete: undefined })
    assert.deepStrictEqual(parse({ ranges: [] }), { ranges: [], complete: undefined })
  })

  it("of an amp server declares whether the range is complete, and when its last block was produced", () => {
    const timed = { ...wire, timestamp: 1_710_000_000 }
    assert.deepStrictEqual(parse({ ranges: [timed], ranges_complete: false }), {
      ranges: [{ ...parsed, timestamp: 1_710_000_000 }],
      complete: false
    })
    assert.deepStrictEqual(parse({ ranges: [], ranges_complete: true }), { ranges: [], complete: true })
  })

  it("is absent where there are no bytes", () => {
    assert.deepStrictEqual(parseStreamMetadata(new Uint8Array(0)), Result.succeed(undefined))
  })

  it("names no block before the first one, however the server writes that", () => {
    const without = { ...wire, prev_hash: undefined }
    for (
      const range of [without, { ...wire, prev_hash: null }, { ...wire, prev_hash: zero }, {
        ...wire,
        prev_hash: zero.slice(2)
      }]
    ) {
      assert.strictEqual(parse({ ranges: [range] })?.ranges[0]?.prevHash, undefined)
    }
  })

  it("compares hashes whatever their case and prefix", () => {
    const loud = { ...wire, hash: hash.toUpperCase(), prev_hash: parent.slice(2).toUpperCase() }
    assert.deepStrictEqual(parse({ ranges: [loud] })?.ranges, [parsed])
  })

  it("may hold more than is read: several ranges, unknown fields, a timestamp that is none", () => {
    const range = { ...wire, timestamp: "soon", colour: "green" }
    assert.deepStrictEqual(parse({ ranges: [range, wire], more: [1] })?.ranges, [parsed, parsed])
  })

  it("holds block numbers up to 2^53 - 1", () => {
    const numbers = { start: Number.MAX_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER }
    assert.strictEqual(parse({ ranges: [{ ...wire, numbers }] })?.ranges[0]?.end, 9_007_199_254_740_991n)
  })

  const broken: ReadonlyArray<readonly [what: string, json: unknown, message: RegExp]> = [
    ["no JSON", "{ranges:", /not JSON in UTF-8/],
    ["nothing but null", null, /the document is not an object/],
    ["a list", [], /the document is not an object/],
    ["no ranges", {}, /"ranges" is not an array/],
    ["ranges that are no list", { ranges: {} }, /"ranges" is not an array/],
    ["a range that is no object", { ranges: [7] }, /a range is not an object/],
    ["a range that is null", { ranges: [null] }, /a range is not an object/],
    ["a completeness that is no boolean", { ranges: [], ranges_complete: "yes" }, /"ranges_complete" is not a boolean/],
    ["a completeness that is null", { ranges: [], ranges_complete: null }, /"ranges_complete" is not a boolean/],
    ["no numbers", { ranges: [{ ...wire, numbers: undefined }] }, /"numbers" is not an object/],
    ["no network", { ranges: [{ ...wire, network: "" }] }, /"network" is not a name/],
    ["a network that is a number", { ranges: [{ ...wire, network: 1 }] }, /"network" is not a name/],
    ["no hash", { ranges: [{ ...wire, hash: null }] }, /"hash" is missing/],
    ["a short hash", { ranges: [{ ...wire, hash: "0xab" }] }, /"hash" is not a 32-byte hash/],
    ["a hash that is a number", { ranges: [{ ...wire, hash: 1 }] }, /"hash" is not a 32-byte hash/],
    ["a hash with other letters", { ranges: [{ ...wire, hash: `0x${"xy".repeat(32)}` }] }, /"hash" is not a 32-byte/],
    ["a parent that is no hash", { ranges: [{ ...wire, prev_hash: "" }] }, /"prev_hash" is not a 32-byte hash/],
    ["no start", { ranges: [{ ...wire, numbers: { end: 1 } }] }, /"start" is not a block number/],
    ["no end", { ranges: [{ ...wire, numbers: { start: 1 } }] }, /"end" is not a block number/],
    ["a number in quotes", { ranges: [{ ...wire, numbers: { start: "1", end: 1 } }] }, /"start" is not a block number/],
    ["a fraction", { ranges: [{ ...wire, numbers: { start: 1, end: 1.5 } }] }, /"end" is not a block number/],
    ["a negative number", { ranges: [{ ...wire, numbers: { start: -1, end: 1 } }] }, /"start" is not a block number/],
    ["a rounded number", { ranges: [{ ...wire, numbers: { start: 1, end: 2 ** 53 } }] }, /"end" is not a block number/],
    ["an endless number", `{"ranges":[{"numbers":{"start":1,"end":1e400}}]}`, /"network" is not a name/],
    [
      "an end before its start",
      { ranges: [{ ...wire, numbers: { start: 2, end: 1 } }] },
      /2\.\.1 ends before it starts/
    ]
  ]
  for (const [what, json, expected] of broken) {
    it(`is rejected as malformed with ${what}`, () => {
      const result = parseStreamMetadata(bytes(json))
      assert.isTrue(Result.isFailure(result))
      if (Result.isFailure(result)) assert.match(result.failure.message, expected)
    })
  }

  it("is malformed where the bytes are no UTF-8", () => {
    assert.isTrue(Result.isFailure(parseStreamMetadata(Uint8Array.of(0x7b, 0xff, 0x7d))))
  })

  it.prop(
    "never throws, whatever the bytes are",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))), Schema.Json],
    ([raw, json]) =>
      [Uint8Array.from(raw), bytes(JSON.stringify(json)), bytes({ ranges: [json], ranges_complete: true })].every(
        (input) => {
          const result = parseStreamMetadata(input)
          return Result.isSuccess(result) || result.failure instanceof MalformedMetadata
        }
      )
  )
})
