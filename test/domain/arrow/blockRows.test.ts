/** Reading a batch of a blocks table. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { blockRows } from "../../../src/domain/arrow/blockRows.ts"
import { batchOf, columnOf, field, type Value } from "./columns.ts"

const uint64: ArrowType = { kind: "int", bits: 64, signed: false }
const bytes32: ArrowType = { kind: "fixedSizeBinary", width: 32 }
const hash = (byte: number) => new Uint8Array(32).fill(byte)
const numbers = (values: ReadonlyArray<Value>, type = uint64) => columnOf(field("block_num", type), values)
const hashes = (values: ReadonlyArray<Value>, type = bytes32) => columnOf(field("hash", type), values)
const rejection = (columns: Parameters<typeof batchOf>[0]) => Result.getFailure(blockRows(batchOf(columns)))

describe("the rows of a blocks table", () => {
  it("are number and hash, whatever the order of the columns and however large the number", () => {
    const expected = [{ block: 0n, hash: `0x${"ab".repeat(32)}` }, {
      block: 2n ** 64n - 1n,
      hash: `0x${"00".repeat(32)}`
    }]
    const columns = [hashes([hash(0xab), hash(0)]), numbers([0n, 2n ** 64n - 1n])]
    assert.deepStrictEqual(Result.getOrThrow(blockRows(batchOf(columns))), expected)
    assert.deepStrictEqual(Result.getOrThrow(blockRows(batchOf(columns.toReversed()))), expected)
  })

  it("are none in a batch without rows", () => {
    assert.deepStrictEqual(Result.getOrThrow(blockRows(batchOf([numbers([]), hashes([])]))), [])
  })

  it("are rejected, not skipped, where a column is missing, of another type, or null", () => {
    const cases = [
      [hashes([hash(1)])],
      [numbers([1n])],
      [numbers([1n], { kind: "int", bits: 32, signed: false }), hashes([hash(1)])],
      [numbers([1n]), hashes([new Uint8Array(20)], { kind: "fixedSizeBinary", width: 20 })],
      [numbers([null]), hashes([hash(1)])],
      [numbers([1n]), hashes([null])]
    ]
    for (const columns of cases) assert.strictEqual(rejection(columns)._tag, "Some")
  })
})
