import { assert, describe, it } from "@effect/vitest"
import { DateDay, Table, vectorFromArray } from "apache-arrow"
import { Result } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import type { ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { decodeFrame, noSchema } from "../../../src/domain/arrow/decodeFrame.ts"
import { decodeSchema } from "../../../src/domain/arrow/decodeSchema.ts"
import { dictionaryFields } from "../../../src/domain/arrow/dictionaryFields.ts"
import { attempt } from "../../../src/domain/arrow/MalformedArrow.ts"
import type { FlightData } from "../../../src/domain/flight/FlightData.ts"
import { randomFrom } from "../postgres/randomColumns.ts"
import { field } from "./columns.ts"
import { decodeFrames } from "./decodeStream.ts"
import { damage, failureOf, loadCase, outcome } from "./fuzzDecoder.ts"
import { encapsulatedSchemaOf, framesOf, framesOfStream } from "./ipcFrames.ts"

const fixture: { readonly streams: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("../../fixtures/ipc/pyarrow.json", import.meta.url), "utf8")
)
const corpus = Object.entries(fixture.streams).map(([name, stream]) =>
  [name, framesOfStream(Uint8Array.from(Buffer.from(stream, "base64")))] as const
)
const framesOfCase = (name: string) => corpus.find(([known]) => known === name)![1]

const reasonOf = (frames: ReadonlyArray<FlightData>): string =>
  Result.getOrThrow(Result.flip(decodeFrames(frames))).reason

const words = new Table({ word: vectorFromArray(["a", "b", null]) })
const other = new Table({ day: vectorFromArray([new Date(0)], new DateDay()) })

/** The int32 at `at` of the body of the only batch, replaced. */
const withBodyInt = (frames: ReadonlyArray<FlightData>, at: number, value: number): ReadonlyArray<FlightData> =>
  frames.map((frame, index) => {
    if (index < frames.length - 1) return frame
    const dataBody = frame.dataBody.slice()
    new DataView(dataBody.buffer).setInt32(at, value, true)
    return { ...frame, dataBody }
  })

/** Two neighbouring int64 of the last header, where they first occur, replaced: a field node or a buffer. */
const withPair = (
  frames: ReadonlyArray<FlightData>,
  from: readonly [bigint, bigint],
  to: readonly [bigint, bigint]
): ReadonlyArray<FlightData> => {
  const last = frames.at(-1)!
  const dataHeader = last.dataHeader.slice()
  const view = new DataView(dataHeader.buffer)
  let at = 0
  while (view.getBigInt64(at, true) !== from[0] || view.getBigInt64(at + 8, true) !== from[1]) at += 4
  to.forEach((value, index) => view.setBigInt64(at + 8 * index, value, true))
  return [...frames.slice(0, -1), { ...last, dataHeader }]
}

describe("malformed Arrow data", () => {
  it("rejects a batch before the schema", () => {
    assert.strictEqual(reasonOf(framesOf(words).slice(1)), "a batch arrived before the schema")
  })

  it("rejects a schema that changes in the middle of the stream, names both types, and accepts the same one again", () => {
    const [schema, ...rest] = framesOf(words)
    assert.isTrue(Result.isSuccess(decodeFrames([schema!, schema!, ...rest])))
    const day = new Table({ word: vectorFromArray([new Date(0)], new DateDay()) })
    for (
      const [changed, words] of [
        [day, "column \"word\" was Dictionary<Int32, Utf8> and is Date32"],
        [other, "column \"word\" (Dictionary<Int32, Utf8>) is now \"day\" (Date32)"]
      ] as const
    ) {
      assert.strictEqual(
        reasonOf([schema!, framesOf(changed)[0]!]),
        `the schema changed in the middle of the stream: ${words}`
      )
    }
  })

  it("rejects a batch of another schema", () => {
    assert.match(reasonOf([framesOfCase("string")[0]!, framesOf(other)[1]!]), /fewer buffers/)
    assert.match(reasonOf([framesOf(other)[0]!, framesOfCase("string")[1]!]), /more columns or buffers/)
  })

  it("rejects a dictionary that no column uses and an index without its dictionary", () => {
    const [schema, dictionary, batch] = framesOf(words)
    assert.strictEqual(reasonOf([framesOf(other)[0]!, dictionary!]), "a dictionary (0) arrived that no column uses")
    assert.strictEqual(reasonOf([schema!, batch!]), "column \"word\" has an index outside its dictionary of 0 values")
  })

  it("rejects offsets that go backwards or point outside the values", () => {
    const frames = framesOfCase("string")
    // pyarrow puts the bitmap into the first eight bytes.
    const offsets = 8
    assert.isTrue(Result.isSuccess(decodeFrames(withBodyInt(frames, offsets + 4, 0))))
    assert.strictEqual(reasonOf(withBodyInt(frames, offsets + 4, -1)), "column \"value\" has offsets that go backwards")
    assert.strictEqual(reasonOf(withBodyInt(frames, offsets + 8, -1)), "column \"value\" has offsets that go backwards")
    assert.strictEqual(
      reasonOf(withBodyInt(frames, offsets + 24, 0x7fffffff)),
      "column \"value\" has offsets that point outside its values"
    )
  })

  it("rejects a body or a header that is cut short, wherever it is cut", () => {
    for (const [, frames] of corpus) {
      const last = frames.at(-1)!
      for (let length = 0; length < last.dataHeader.length; length += 7) {
        const cut = [...frames.slice(0, -1), { ...last, dataHeader: last.dataHeader.subarray(0, length) }]
        // Without header and body it is a message of metadata alone.
        const isAlone = length === 0 && last.dataBody.length === 0
        assert.isTrue(Result.isFailure(decodeFrames(cut)) || length > last.dataHeader.length - 8 || isAlone)
      }
      if (last.dataBody.length > 0) {
        const cut = [...frames.slice(0, -1), { ...last, dataBody: last.dataBody.subarray(0, last.dataBody.length - 1) }]
        assert.isTrue(Result.isFailure(decodeFrames(cut)))
      }
    }
  })

  it("rejects columns whose length is not that of the batch, whose children are shorter, or which have too many nulls", () => {
    const reason = (name: string, from: readonly [bigint, bigint], to: readonly [bigint, bigint]) =>
      reasonOf(withPair(framesOfCase(name), from, to))
    assert.include(reason("timestamp", [3n, 1n], [2n, 1n]), "column \"value\" has 2 rows where 3 are needed")
    assert.include(reason("timestamp", [3n, 1n], [4n, 1n]), "column \"value\" has 4 rows where 3 are needed")
    assert.include(reason("timestamp", [3n, 1n], [3n, 4n]), "more nulls than rows")
    assert.include(reason("timestamp", [3n, 1n], [3n, -1n]), "negative or too large")
    assert.include(reason("fixed_size_list", [6n, 3n], [5n, 3n]), "column \"value.item\" has 5 rows where 6 are needed")
  })

  it("rejects a column that claims nulls but has no bitmap, and ignores a bitmap when it claims none", () => {
    const frames = framesOfCase("timestamp")
    const [batch] = Result.getOrThrow(decodeFrames(withPair(frames, [3n, 1n], [3n, 0n]))).batches
    assert.isUndefined(batch!.columns[0]!.validity)
    // The first buffer becomes empty.
    const bitmap = withPair(frames, [0n, 1n], [0n, 0n])
    assert.include(reasonOf(bitmap), "claims nulls but has no complete validity bitmap")
  })

  it("rejects buffers outside the body", () => {
    const frames = framesOfCase("timestamp")
    const last = frames.at(-1)!.dataBody.length
    const inside = withPair(frames, [8n, 24n], [BigInt(last - 24), 24n])
    assert.isTrue(Result.isSuccess(decodeFrames(inside)))
    for (const buffer of [[BigInt(last - 23), 24n], [8n, 2n ** 40n], [-8n, 24n], [2n ** 62n, 24n]] as const) {
      assert.match(reasonOf(withPair(frames, [8n, 24n], buffer)), /outside the body|negative or too large/)
    }
  })

  it("rejects two columns that share the id of a dictionary but not its type", () => {
    const type = (value: ArrowType): ArrowType => ({
      kind: "dictionary",
      id: 4n,
      index: { kind: "int", bits: 8, signed: true },
      value
    })
    const utf8 = { kind: "utf8", offsets: 32 } as const
    const fields = (other: ArrowType) => ({ fields: [field("a", type(utf8)), field("b", type(other))] })
    assert.strictEqual(dictionaryFields(fields(utf8)).size, 1)
    const rejected = attempt(() => dictionaryFields(fields({ kind: "bool" })))
    assert.include(Result.getOrThrow(Result.flip(rejected)).reason, "two columns share the dictionary 4")
  })

  it("rejects a big-endian schema", () => {
    const schema = encapsulatedSchemaOf(other)
    const view = new DataView(schema.buffer)
    // Follows Message -> header -> Schema, and the schema's vtable to its first slot.
    const message = 8 + view.getUint32(8, true)
    const slot = (table: number, index: number) => {
      const vtable = table - view.getInt32(table, true)
      const offset = view.getUint16(vtable, true) > 4 + 2 * index ? view.getUint16(vtable + 4 + 2 * index, true) : 0
      return { entry: vtable + 4 + 2 * index, at: table + offset, present: offset > 0 }
    }
    const header = slot(message, 2).at
    const table = header + view.getUint32(header, true)
    const fields = slot(table, 1)
    const endianness = slot(table, 0)
    // The slot is left out when little; the low half of the fields' offset is odd or even, but never zero.
    if (endianness.present) view.setInt16(endianness.at, 1, true)
    else view.setUint16(endianness.entry, fields.at - table, true)
    assert.match(
      Result.getOrThrow(Result.flip(decodeSchema(schema))).message,
      /it is big-endian, and only little-endian is read/
    )
  })

  it("reads the schema of FlightInfo with and without the continuation marker, and rejects everything shorter", () => {
    const schema = encapsulatedSchemaOf(other)
    const fields = [{ name: "day", type: { kind: "date", unit: "day" }, nullable: true }]
    assert.deepStrictEqual<unknown>(Result.getOrThrow(decodeSchema(schema)).fields, fields)
    assert.deepStrictEqual<unknown>(Result.getOrThrow(decodeSchema(schema.subarray(4))).fields, fields)
    assert.match(Result.getOrThrow(Result.flip(decodeSchema(new Uint8Array(0)))).message, /the schema is empty/)
    for (let length = 1; length < schema.length; length++) {
      assert.isTrue(Result.isFailure(decodeSchema(schema.subarray(0, length))))
    }
  })

  it("accepts empty columns without offsets", () => {
    const frames = framesOfCase("slices")
    const { batches } = Result.getOrThrow(decodeFrames(frames.slice(0, 2)))
    assert.strictEqual(batches[0]!.rows, 0)
    assert.isTrue(batches[0]!.columns.every((column) => column.length === 0))
  })

  it("leaves a state as it was when a message is rejected", () => {
    const [schema, dictionary] = framesOf(words)
    const { state } = Result.getOrThrow(decodeFrames([schema!, dictionary!]))
    const before = state.dictionaries.get(0n)
    decodeFrame(state, { ...dictionary!, dataBody: new Uint8Array(0) })
    assert.strictEqual(state.dictionaries.get(0n), before)
    assert.strictEqual(noSchema.schema, undefined)
  })

  // A directory that scripts/fuzz.ts makes when it finds something.
  const kept = new URL("../../fixtures/fuzz/", import.meta.url)
  for (const file of existsSync(kept) ? readdirSync(kept) : []) {
    it(`reads what once went wrong: ${file}`, () => {
      assert.isUndefined(failureOf(loadCase(readFileSync(new URL(file, kept), "utf8"))))
    })
  }

  it("ends in rows or in a sentence whatever is damaged, and never reads neighbouring memory", () => {
    const random = randomFrom(20_261_122)
    let rejected = 0
    for (let round = 0; round < 6000; round++) {
      const frames = damage(random, corpus[round % corpus.length]![1])
      const seen = outcome(frames, 0x00)
      assert.deepStrictEqual(outcome(frames, 0xa5), seen)
      if (seen.some((part) => part.includes(" "))) rejected += 1
    }
    // Neither everything nor nothing was rejected, so the damage was worth making.
    assert.isTrue(rejected > 1500 && rejected < 5500, `${rejected} rejected`)
  }, 60_000)
})
