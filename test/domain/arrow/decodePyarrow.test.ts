import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readFileSync } from "node:fs"
import type { ArrowField, ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { formatArrowType } from "../../../src/domain/arrow/formatArrowType.ts"
import { unpackZstd } from "../../../src/domain/arrow/unpackZstd.ts"
import { encodedRows } from "../postgres/encodedField.ts"
import { batchOf, columnOf, field, type Value } from "./columns.ts"
import { decodeFrames, decodeStream } from "./decodeStream.ts"
import { framesOfStream } from "./ipcFrames.ts"

const fixture: { readonly writer: string; readonly streams: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("../../fixtures/ipc/pyarrow.json", import.meta.url), "utf8")
)

const stream = (name: string): Uint8Array => Uint8Array.from(Buffer.from(fixture.streams[name]!, "base64"))

const int = (bits: 8 | 16 | 32 | 64, signed = true) => ({ kind: "int", bits, signed }) as const
const utf8 = { kind: "utf8", offsets: 32 } as const
const item = (type: ArrowType) => field("item", type)

const texts = ["", "short", null, "a text of more than twelve bytes", "twelve bytes", "thirteen byte"]
const decimals = [-110n, null, 0n, 123456789n]
const numbers = [[1n, null, 3n], [], null, [4n]]

const decimal = (bits: 32 | 64 | 128 | 256, precision: number, scale = 2) =>
  ({ kind: "decimal", bits, precision, scale }) as const

const columns: Readonly<Record<string, readonly [ArrowType, ReadonlyArray<Value>]>> = {
  string: [utf8, texts],
  large_string: [{ kind: "utf8", offsets: 64 }, texts],
  string_view: [{ kind: "utf8", offsets: "view" }, texts],
  binary: [{ kind: "binary", offsets: 32 }, texts],
  large_binary: [{ kind: "binary", offsets: 64 }, texts],
  binary_view: [{ kind: "binary", offsets: "view" }, texts],
  "decimal32(9, 2)": [decimal(32, 9), decimals],
  "decimal64(18, 2)": [decimal(64, 18), decimals],
  "decimal128(38, 2)": [decimal(128, 38), decimals],
  "decimal256(76, 2)": [decimal(256, 76), decimals],
  "decimal128(5, -2)": [decimal(128, 5, -2), [123n, -1n]],
  "list<item: int32>": [{ kind: "list", offsets: 32, item: item(int(32)) }, numbers],
  "large_list<item: int32>": [{ kind: "list", offsets: 64, item: item(int(32)) }, numbers],
  "list_view<item: int32>": [{ kind: "list", offsets: "view32", item: item(int(32)) }, numbers],
  "large_list_view<item: int32>": [{ kind: "list", offsets: "view64", item: item(int(32)) }, numbers],
  fixed_size_list: [{ kind: "fixedSizeList", size: 2, item: item(int(32)) }, [[1n, null], null, [3n, 4n]]],
  struct: [{ kind: "struct", fields: [field("a", int(64)), field("b", utf8)] }, [[1n, "x"], null, [null, "y"]]],
  map: [
    { kind: "map", key: field("key", utf8, false), value: field("value", int(32)), keysSorted: false },
    [[["k", 1n], ["l", null]], null, []]
  ],
  dictionary: [{ kind: "dictionary", id: 0n, index: int(32), value: utf8 }, ["x", "y", null, "x"]],
  run_end_encoded: [
    { kind: "runEndEncoded", runEnds: field("run_ends", int(16), false), values: field("values", utf8) },
    ["a", "a", null, "b", "b"]
  ],
  sparse_union: [
    { kind: "union", mode: "sparse", typeIds: [0, 1], fields: [field("n", int(64)), field("s", utf8)] },
    [[0n, 1n], [1n, "y"], [0n, 3n]]
  ],
  dense_union: [
    { kind: "union", mode: "dense", typeIds: [0, 1], fields: [field("n", int(64)), field("s", utf8)] },
    [[0n, 1n], [1n, "x"], [1n, "y"], [0n, null]]
  ],
  null: [{ kind: "null" }, [null, null, null]],
  bool: [{ kind: "bool" }, [true, null, false, true, true, false, true, false, null]],
  float16: [{ kind: "float", bits: 16 }, [0x3c00, null, 0xc000]],
  month_day_nano: [{ kind: "interval", unit: "monthDayNano" }, [[1n, -2n, 3_000_000_001n], null]],
  duration: [{ kind: "duration", unit: "nanosecond" }, [1n, null, -1n]],
  date64: [{ kind: "date", unit: "millisecond" }, [86_400_000n, null]],
  time64: [{ kind: "time", bits: 64, unit: "nanosecond" }, [1999n, null]],
  timestamp: [{ kind: "timestamp", unit: "nanosecond", timezone: "UTC" }, [-1n, null, 0n]]
}

const bytesOf = (fields: ReadonlyArray<readonly [ArrowField, ReadonlyArray<Value>]>): string => {
  const batch = batchOf(fields.map(([of, values]) => columnOf(of, values)))
  return Buffer.from(Result.getOrThrow(encodedRows(batch, 0, batch.rows))).toString("hex")
}

const range = (row: number) => Array.from({ length: row % 6 }, (_, index) => BigInt(index))

const decoded = (name: string): ReadonlyArray<string> =>
  Result.getOrThrow(decodeStream(stream(name))).batches
    .map((batch) => Buffer.from(Result.getOrThrow(encodedRows(batch, 0, batch.rows))).toString("hex"))

const words = (...values: ReadonlyArray<string | null>) => bytesOf([[field("value", utf8), values]])

/** The body of pyarrow's batch of one column: the length of its values when unpacked (int64), then one frame of ZSTD. */
const zstdBody = () => framesOfStream(stream("zstd"), 0).find(({ dataBody }) => dataBody.length > 0)!.dataBody

const VALUES_BYTES = 8000

/** That frame, without the up to seven bytes that fill up the body. */
const zstdFrame = (): Uint8Array => {
  const body = zstdBody()
  for (let end = body.length; end > body.length - 8; end--) {
    const frame = body.subarray(8, end)
    if (Result.isSuccess(Result.try(() => unpackZstd(frame, VALUES_BYTES)))) return frame
  }
  return assert.fail("the body holds no frame")
}

describe(`Arrow IPC of ${fixture.writer}`, () => {
  for (const [name, [type, values]] of Object.entries(columns)) {
    it(`reads ${formatArrowType(type)} at even and at odd addresses`, () => {
      for (const misalign of [0, 1, 3]) {
        const [batch] = Result.getOrThrow(decodeStream(stream(name), misalign)).batches
        assert.deepStrictEqual(batch!.schema.fields, [field("value", type)])
        const bytes = Buffer.from(Result.getOrThrow(encodedRows(batch!, 0, batch!.rows))).toString("hex")
        assert.strictEqual(bytes, bytesOf([[field("value", type), values]]))
      }
    })
  }

  it("reads batches cut out of a larger one", () => {
    const { batches } = Result.getOrThrow(decodeStream(stream("slices"), 1))
    assert.deepStrictEqual(batches.map(({ rows }) => rows), [0, 11, 23])
    const rows = Array.from({ length: 40 }, (_, row) => row)
    const expected = (from: number, to: number) => {
      const some = (step: number, value: (row: number) => Value) =>
        rows.slice(from, to).map((row) => row % step === 0 ? null : value(row))
      return bytesOf([
        [field("n", int(32)), some(3, BigInt)],
        [field("b", { kind: "bool" }), some(5, (row) => row % 2 === 0)],
        [field("s", utf8), some(7, (row) => "s".repeat(row))],
        [field("v", { kind: "utf8", offsets: "view" }), some(7, (row) => "v".repeat(row))],
        [field("l", { kind: "list", offsets: 32, item: item(int(16)) }), some(4, range)],
        [field("w", { kind: "list", offsets: "view32", item: item(int(16)) }), some(4, range)],
        [field("t", { kind: "struct", fields: [field("a", int(64))] }), some(6, (row) => [BigInt(row)])]
      ])
    }
    const bytes = batches.map((batch) =>
      Buffer.from(Result.getOrThrow(encodedRows(batch, 0, batch.rows))).toString("hex")
    )
    assert.deepStrictEqual(bytes, ["", expected(3, 14), expected(17, 40)])
  })

  it("continues a dictionary by its deltas", () => {
    assert.deepStrictEqual(decoded("dictionary_delta"), [words("a", "b", null), words("c", "a"), words("d", "c", "b")])
  })

  it("replaces a dictionary by a later one", () => {
    assert.deepStrictEqual(decoded("dictionary_replaced"), [words("a", "b"), words("z", "z")])
  })

  it("rejects a body that is compressed with LZ4, and names what to set", () => {
    assert.strictEqual(
      Result.getOrThrow(Result.flip(decodeStream(stream("lz4")))).message,
      "the server's Arrow data cannot be read: its batches are compressed with LZ4, and only ZSTD or no compression is "
        + "accepted; set the compression of the Arrow IPC writer on the server to ZSTD or none"
    )
  })

  it("reads the values of a body that pyarrow compressed with ZSTD", () => {
    const plain = batchOf([columnOf(field("value", int(64)), Array.from({ length: 1000 }, (_, row) => BigInt(row)))])
    const [batch] = Result.getOrThrow(decodeStream(stream("zstd"), 1)).batches
    assert.deepStrictEqual(encodedRows(batch!, 0, 1000), encodedRows(plain, 0, 1000))
  })

  it("rejects a damaged compressed buffer, and names the codec", () => {
    const frames = framesOfStream(stream("zstd"), 0).map((frame) => ({ ...frame, dataBody: frame.dataBody.slice() }))
    frames.find(({ dataBody }) => dataBody.length > 0)!.dataBody[8]! ^= 1
    const { reason } = Result.getOrThrow(Result.flip(decodeFrames(frames)))
    assert.strictEqual(reason, "a buffer compressed with ZSTD is damaged")
  })

  it("rejects damaged compressed buffers without hanging", () => {
    const zstd = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05, 1, 2)
    const work = process.cpuUsage()
    for (let cut = 0; cut < zstd.length; cut++) {
      assert.throws(() => unpackZstd(zstd.subarray(0, cut), 64))
    }
    assert.isBelow(process.cpuUsage(work).user, 1_000_000)
  })

  it("rejects a declared size that a compressed buffer cannot have, before it takes memory or time for it", () => {
    const work = process.cpuUsage()
    const frame = zstdFrame()
    for (const declared of [VALUES_BYTES - 1, VALUES_BYTES + 1, 2 ** 20, 2 ** 28, 2 ** 30 - 1, 2 ** 30]) {
      assert.throws(() => unpackZstd(frame, declared), RangeError)
    }
    assert.isBelow(process.cpuUsage(work).user, 500_000)
  })

  it("rejects a ZSTD frame that does not declare its size and holds another number of bytes", () => {
    const frame = (...blocks: ReadonlyArray<ReadonlyArray<number>>) =>
      Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0, ...blocks.flat())
    const [raw, repeated] = [[4 << 3, 0, 0, 1, 2, 3, 4], [(4 << 3) | 3, 0, 0, 9]]
    assert.deepStrictEqual(unpackZstd(frame(raw, repeated), 8), Uint8Array.of(1, 2, 3, 4, 9, 9, 9, 9))
    for (const declared of [4, 7, 9, 64]) {
      assert.throws(() => unpackZstd(frame(raw, repeated), declared), RangeError)
    }
    // A compressed block of four literals and no sequence, and so with room for more as far as its header goes.
    const compressed = [(6 << 3) | 5, 0, 0, 4 << 3, 5, 6, 7, 8, 0]
    assert.deepStrictEqual(unpackZstd(frame(raw, compressed), 8), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
    for (const declared of [4, 7, 9, 64]) {
      assert.throws(() => unpackZstd(frame(raw, compressed), declared), RangeError)
    }
    assert.throws(() => unpackZstd(frame(raw), 4), RangeError)
  })

  it("turns a compressed buffer damaged anywhere into an error, or into as many bytes as were declared", () => {
    const work = process.cpuUsage()
    const frame = zstdFrame()
    for (let at = 0; at < frame.length; at++) {
      for (const by of [0x01, 0xff]) {
        const damaged = frame.slice()
        damaged[at]! ^= by
        const unpacked = Result.try(() => unpackZstd(damaged, VALUES_BYTES))
        if (Result.isSuccess(unpacked)) assert.strictEqual(unpacked.success.length, VALUES_BYTES)
      }
    }
    assert.isBelow(process.cpuUsage(work).user, 10_000_000)
  })

  it("rejects metadata of version V4", () => {
    const { reason } = Result.getOrThrow(Result.flip(decodeStream(stream("v4"))))
    assert.strictEqual(reason, "it is written in metadata version V4, and only V5 (Arrow 1.0 and later) is read")
  })
})
