import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { ArrowType, TimeUnit } from "../../../src/domain/arrow/ArrowSchema.ts"
import type { Column, ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import { formatArrowType } from "../../../src/domain/arrow/formatArrowType.ts"
import {
  type CopyPlan,
  type EncodeError,
  makeCopyPlan,
  type RowCursor
} from "../../../src/domain/postgres/encode/encodeCopy.ts"
import { outputOf } from "../../../src/domain/postgres/encode/FieldWriter.ts"
import { planTuples } from "../../../src/domain/postgres/encode/planTuples.ts"
import { makeRowEncoderWith, type RowEncoder } from "../../../src/domain/postgres/encode/RowEncoder.ts"
import { parseOverrideType } from "../../../src/domain/postgres/types/columnOverride.ts"
import { type PgColumn, planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { batchOf, columnOf, field, type Value } from "../arrow/columns.ts"
import { type Kind, type Random, randomFrom, scalarKinds } from "./randomColumns.ts"

const uint64: ArrowType = { kind: "int", bits: 64, signed: false }
const range = { start: 0n, end: 2n ** 62n }

const planOf = (batch: ColumnBatch, mode: "column" | "rangeEnd", textNul: "refuse" | "replace" = "refuse") =>
  makeCopyPlan({
    columns: Result.getOrThrow(planColumns(batch.schema)),
    position: mode === "column" ? { kind: "column", index: 0, name: "_block_num" } : { kind: "rangeEnd" },
    textNul
  })

interface Written {
  readonly bytes: Buffer
  readonly rows: number
  readonly cursor: RowCursor | undefined
  readonly error: EncodeError | undefined
}

/** Everything that is written until all rows are, or until one is rejected. */
const written = (
  encoder: RowEncoder,
  batch: ColumnBatch,
  span: { readonly from: number; readonly to: number },
  bufferBytes: number,
  at: number
): Written => {
  const bound = Result.getOrThrow(encoder.bind(batch))
  const pieces: Array<Uint8Array> = []
  let { from } = span
  let cursor: RowCursor | undefined
  let error: EncodeError | undefined
  let out = outputOf(new Uint8Array(bufferBytes + 3).subarray(3))
  while (from < span.to) {
    const result = bound.write(out, at, { from, to: span.to, range, cursor })
    if (Result.isFailure(result)) {
      error = result.failure
      break
    }
    const { end, rows } = result.success
    pieces.push(out.bytes.slice(at, end))
    if (rows === 0) out = outputOf(new Uint8Array(at + Result.getOrThrow(bound.bound(from, range))))
    ;({ cursor } = result.success)
    from += rows
  }
  return { bytes: Buffer.concat(pieces), rows: from - span.from, cursor, error }
}

/** The difference between two encoders, as a sentence; undefined when there is none. */
const difference = (one: Written, other: Written): string | undefined => {
  const at = one.bytes.findIndex((byte, index) => byte !== other.bytes[index])
  if (at >= 0 || one.bytes.length !== other.bytes.length) {
    return `byte ${at} of ${one.bytes.length} and ${other.bytes.length}`
  }
  const [a, b] = [one, other].map(({ cursor, error, rows }) =>
    `${rows} ${cursor?.position} ${cursor?.nextRowIndex} `
    + `${error?.kind} ${error?.column} ${error?.row} ${error?.position} ${error?.reason}`
  )
  return a === b ? undefined : `${a} and ${b}`
}

const pick = <A>(random: Random, values: ReadonlyArray<A>): A => values[Math.floor(random() * values.length)]!

/** The same values at an unaligned address, between bytes that must not be read. */
const displaced = (random: Random, column: Column): Column => {
  const move = (bytes: Uint8Array) => {
    const before = Math.floor(random() * 17)
    const room = new Uint8Array(bytes.length + 64).fill(0xa5)
    room.set(bytes, before)
    return room.subarray(before, before + bytes.length + Math.floor(random() * 9))
  }
  return { ...column, validity: column.validity && move(column.validity), buffers: column.buffers.map(move) }
}

const least = { second: -210_866_803_200n, millisecond: -210_866_803_200_000n, microsecond: -210_866_803_200_000_000n }
const after = { second: 9_224_318_016_000n, millisecond: 9_224_318_016_000_000n }

const timestampEdges = (unit: TimeUnit): ReadonlyArray<bigint> => {
  const near = [
    0n,
    1n,
    -1n,
    999n,
    -999n,
    1000n,
    -1000n,
    -1001n,
    946_684_800n,
    946_684_799_999_999n,
    946_684_800_000_000n
  ]
  if (unit === "nanosecond") {
    return [...near, 2n ** 63n - 1n, -(2n ** 63n), 946_684_800_000_000_000n, -(2n ** 63n) + 807n]
  }
  return [...near, least[unit], unit === "microsecond" ? 2n ** 63n - 1n : after[unit] - 1n]
}

/** Kinds of columns that the fast path supports, with values that its writers accept. */
const fastKinds: ReadonlyArray<Kind> = scalarKinds.concat(
  [0, 1, 3, 33].map((width): Kind => ({
    ...scalarKinds.find(({ type }) => type.kind === "fixedSizeBinary")!,
    type: { kind: "fixedSizeBinary", width },
    value: (random) => Uint8Array.from({ length: width }, () => random() * 256)
  })),
  [5, 19, 20, 39, -2, -38].map((scale): Kind => ({
    ...scalarKinds.find(({ type }) => type.kind === "decimal" && type.bits === 128)!,
    type: { kind: "decimal", bits: 128, precision: 38, scale }
  }))
).filter(({ type }) => planTuples(planOf(batchOf([columnOf(field("c", type), [])]), "rangeEnd")) !== undefined)
  .map((kind): Kind => {
    const { type } = kind
    if (type.kind === "timestamp") {
      return {
        ...kind,
        value: (random) => random() < 0.3 ? pick(random, timestampEdges(type.unit)) : kind.value(random)
      }
    }
    if (type.kind === "binary") {
      return { ...kind, value: (random) => random() < 0.005 ? new Uint8Array(150_000).fill(7) : kind.value(random) }
    }
    return kind
  })

interface Sample {
  readonly plan: CopyPlan
  readonly batch: ColumnBatch
}

const counts = [0, 1, 7, 8, 9, 31, 63, 64, 65, 200, 1000]

const sampleOf = (random: Random, kinds: ReadonlyArray<Kind>, rows: number): Sample => {
  const mode = random() < 0.5 ? "column" : "rangeEnd"
  let block = 0n
  const positions = Array.from(
    { length: rows },
    () => random() < 0.9 ? block : block += BigInt(1 + Math.floor(random() * 5))
  )
  const columns = kinds.map((kind, index) => {
    const nulls = pick(random, [0, 0.1, 0.9, 1])
    const values = Array.from({ length: rows }, (): Value => random() < nulls ? null : kind.value(random))
    return displaced(random, columnOf(field(`c${index}`, kind.type, nulls > 0 || random() < 0.5), values))
  })
  const position = displaced(random, columnOf(field("_block_num", uint64, false), positions))
  const batch = { ...batchOf([position, ...columns]), rows }
  return { batch, plan: planOf(batch, mode) }
}

/** Encodes a random part of a sample through random buffers, with the module and with the writers. */
const compared = (random: Random, { batch, plan }: Sample, tuples = planTuples(plan)): string | undefined => {
  const from = Math.floor(random() * random() * (batch.rows + 1))
  const to = random() < 0.5 ? batch.rows : from + Math.floor(random() * (batch.rows - from + 1))
  const sizes = [200, 5_000, 70_000, 262_144, 600_000]
  const run = (encoder: RowEncoder) =>
    written(encoder, batch, { from, to }, pick(random, sizes), Math.floor(random() * 60))
  return difference(run(makeRowEncoderWith(plan, tuples)), run(makeRowEncoderWith(plan, undefined)))
}

describe("the fast path", () => {
  it("writes every kind it supports as the writers do", () => {
    const random = randomFrom(1)
    const names = new Set(fastKinds.map(({ type }) => formatArrowType(type)))
    assert.isAtLeast(names.size, 35)
    for (const kind of fastKinds) {
      for (const rows of counts) {
        for (let round = 0; round < 4; round++) {
          const found = compared(random, sampleOf(random, [kind], rows))
          assert.isUndefined(found, `${formatArrowType(kind.type)}, ${rows} rows, round ${round}: ${found}`)
        }
      }
    }
  })

  it("writes random tables as the writers do", () => {
    for (let seed = 0; seed < 400; seed++) {
      const random = randomFrom(seed)
      const kinds = Array.from({ length: Math.floor(random() * 14) }, () => pick(random, fastKinds))
      const found = compared(random, sampleOf(random, kinds, pick(random, counts)))
      assert.isUndefined(found, `seed ${seed}: ${found}`)
    }
  })

  it("differs from the writers once a descriptor is wrong: the comparison can fail", () => {
    for (const kind of fastKinds) {
      const random = randomFrom(3)
      const values = Array.from({ length: 64 }, () => kind.value(random))
      const batch = batchOf([columnOf(field("c", kind.type), values)])
      const plan = planOf(batch, "rangeEnd")
      const tuples = planTuples(plan)!
      // One byte of PostgreSQL's value, or the factor of a numeric; kinds of one size are exchanged instead.
      const descriptors = tuples.descriptors.slice()
      if (["fixed32", "fixed20", "binary", "text", "bool"].includes(tuples.shapes[0]!.kind)) descriptors[0] = 6
      else if (descriptors[6]! > 0) descriptors[6]! -= 1
      else descriptors[0] = 1
      const span = { from: 0, to: 64 }
      const one = written(makeRowEncoderWith(plan, { ...tuples, descriptors }), batch, span, 262_144, 0)
      const other = written(makeRowEncoderWith(plan, undefined), batch, span, 262_144, 0)
      assert.isDefined(difference(one, other), formatArrowType(kind.type))
    }
  })

  it("calls no writer for the rows it encodes", () => {
    const rows = 5000
    const random = randomFrom(5)
    const kinds = fastKinds.filter(({ type }) => type.kind !== "binary")
    const { batch, plan } = sampleOf(random, kinds, rows)
    let calls = 0
    const counting = (column: PgColumn): PgColumn => ({
      ...column,
      writer: (data, options) => {
        const { bound, write } = column.writer(data, options)
        return { bound, write: (out, at, row) => (calls += 1, write(out, at, row)) }
      }
    })
    const columns = plan.columns.map(counting)
    written(makeRowEncoderWith({ ...plan, columns }, planTuples(plan)), batch, { from: 0, to: rows }, 262_144, 0)
    // The last rows of a buffer are left to the writers, being too few.
    assert.isBelow(calls, 0.05 * rows * columns.length)
  })
})

const outcomes = (type: ArrowType, values: ReadonlyArray<Value>, textNul: "refuse" | "replace" = "refuse") => {
  const batch = batchOf([
    columnOf(field("_block_num", uint64), values.map(() => 5n)),
    columnOf(field("c", type), values)
  ])
  const plan = planOf(batch, "column", textNul)
  const tuples = planTuples(plan)
  assert.isDefined(tuples)
  const run = (encoder: RowEncoder) => written(encoder, batch, { from: 0, to: values.length }, 4096, 0)
  const [fast, slow] = [run(makeRowEncoderWith(plan, tuples)), run(makeRowEncoderWith(plan, undefined))]
  assert.isUndefined(difference(fast, slow))
  return fast
}

/** A value in the middle of others, also where a step ends. */
const among = (value: Value, others: Value, at: number) =>
  Array.from({ length: 100 }, (_, row) => row === at ? value : others)

const timestamp = (unit: TimeUnit): ArrowType => ({ kind: "timestamp", unit, timezone: "+00:00" })

describe("values that the fast path leaves to the writers", () => {
  const rejected: ReadonlyArray<readonly [ArrowType, Value, Value, string]> = [
    [timestamp("second"), after.second, 0n, "294276 AD"],
    [timestamp("second"), least.second - 1n, 0n, "294276 AD"],
    [timestamp("second"), 2n ** 63n - 1n, 0n, "294276 AD"],
    [timestamp("millisecond"), after.millisecond, 0n, "294276 AD"],
    [timestamp("millisecond"), least.millisecond - 1n, 0n, "294276 AD"],
    [timestamp("microsecond"), least.microsecond - 1n, 0n, "294276 AD"],
    [timestamp("microsecond"), -(2n ** 63n), 0n, "294276 AD"],
    [{ kind: "decimal", bits: 128, precision: 38, scale: 2 }, 10n ** 38n, 1n, "more than the 38 digits"],
    [{ kind: "decimal", bits: 128, precision: 38, scale: 3 }, -(2n ** 127n), 1n, "more than the 38 digits"],
    [{ kind: "decimal", bits: 128, precision: 5, scale: 0 }, 100_000n, 99_999n, "more than the 5 digits"],
    [{ kind: "decimal", bits: 128, precision: 5, scale: 7 }, -100_000n, -99_999n, "more than the 5 digits"],
    [{ kind: "utf8", offsets: 32 }, "secret\u0000", "fine", "NUL character"]
  ]

  it("are rejected with the writers' reason, at the same row", () => {
    for (const [type, value, others, reason] of rejected) {
      for (const at of [0, 1, 8, 63, 99]) {
        const { error, rows } = outcomes(type, among(value, others, at))
        assert.include(error?.reason, reason)
        assert.deepStrictEqual([error?.row, error?.position, rows], [at, 5n, at])
      }
    }
  })

  it("rejects a position above 2^63-1, as any other uint64 that becomes a bigint", () => {
    const blocks = Array.from({ length: 20 }, (_, row) => row < 15 ? 5n : 2n ** 63n)
    const batch = batchOf([
      columnOf(field("c", { kind: "bool" }), blocks.map(() => true)),
      columnOf(field("block_num", uint64), blocks)
    ])
    const plan = planOf(batch, "rangeEnd")
    const run = (encoder: RowEncoder) => written(encoder, batch, { from: 0, to: 20 }, 4096, 0)
    const fast = run(makeRowEncoderWith(plan, planTuples(plan)))
    assert.isUndefined(difference(fast, run(makeRowEncoderWith(plan, undefined))))
    assert.deepStrictEqual([fast.error?.row, fast.error?.column], [15, "block_num"])
    assert.include(fast.error?.reason, "larger than 2^63-1")
  })

  it("are replaced by the writers where NUL is to be replaced", () => {
    for (const at of [0, 1, 8, 63, 99]) {
      const { bytes, error } = outcomes({ kind: "utf8", offsets: 32 }, among("a\u0000b", "fine", at), "replace")
      assert.isUndefined(error)
      assert.include(bytes.toString("latin1"), Buffer.from("a\ufffdb").toString("latin1"))
    }
  })

  it("accepts exactly the UTF-8 that the writers accept, wherever it stands in a text", () => {
    const bytes = [0x00, 0x01, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec]
      .concat([0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff])
    const random = randomFrom(9)
    let [accepted, rejected] = [0, 0]
    const leads = [0xc2, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4]
    for (let round = 0; round < 4000; round++) {
      // Half of them begin as characters do, so that the later bytes are reached.
      const odd = Array.from(
        { length: 1 + Math.floor(random() * 4) },
        (_, index) =>
          index === 0
            ? pick(random, random() < 0.5 ? leads : bytes)
            : pick(random, random() < 0.7 ? [0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf] : bytes)
      )
      const text = Uint8Array.from([
        ...Array<number>(Math.floor(random() * 20)).fill(0x61),
        ...odd,
        ...Array<number>(Math.floor(random() * 20)).fill(0x62)
      ])
      const { error } = outcomes({ kind: "utf8", offsets: 32 }, [text, ...Array<Value>(8).fill("é")])
      if (error === undefined) accepted += 1
      else rejected += 1
    }
    assert.isAbove(accepted, 200)
    assert.isAbove(rejected, 1000)
  })

  it("does not take a character apart at the neighbouring value", () => {
    const halves = Array.from({ length: 20 }, (_, row) => Uint8Array.of(row % 2 === 0 ? 0xc3 : 0xa9))
    assert.strictEqual(outcomes({ kind: "utf8", offsets: 32 }, halves).error?.row, 0)
  })

  it("rejects a NULL in a column that is declared without", () => {
    const values = among(null, 1n, 40)
    const columns = [
      columnOf(field("a", uint64, false), values),
      columnOf(field("b", { kind: "bool" }), values.map(() => true))
    ]
    const batch = batchOf(columns)
    const plan = planOf(batch, "rangeEnd")
    const { error } = written(makeRowEncoderWith(plan, planTuples(plan)), batch, { from: 0, to: 100 }, 4096, 0)
    assert.deepStrictEqual([error?.row, error?.column], [40, "a"])
  })

  it("leaves tables with other kinds, and with types of the config, to the writers", () => {
    const index = { kind: "int", bits: 8, signed: true } as const
    const others: ReadonlyArray<readonly [ArrowType, string | undefined]> = [
      [{ kind: "utf8", offsets: "view" }, undefined],
      [{ kind: "binary", offsets: 64 }, undefined],
      [{ kind: "dictionary", id: 0n, index, value: uint64 }, undefined],
      [{ kind: "decimal", bits: 256, precision: 76, scale: 0 }, undefined],
      [{ kind: "float", bits: 16 }, undefined],
      [{ kind: "decimal", bits: 128, precision: 38, scale: 0 }, "numeric(20,0)"],
      [{ kind: "decimal", bits: 128, precision: 18, scale: 0 }, "bigint"],
      [{ kind: "int", bits: 64, signed: true }, "numeric(20,0)"],
      [{ kind: "fixedSizeBinary", width: 20 }, "text"],
      [{ kind: "utf8", offsets: 32 }, "bigint"]
    ]
    for (const [type, wanted] of others) {
      const overrides = wanted === undefined ? [] : [{ column: "c", type: parseOverrideType(wanted)! }]
      const columns = Result.getOrThrow(planColumns({ fields: [field("c", type)] }, overrides))
      assert.isUndefined(
        planTuples({ columns, position: { kind: "rangeEnd" }, textNul: "refuse" }),
        formatArrowType(type)
      )
    }
  })
})

describe("the WebAssembly module", () => {
  it("is the compiled form of its text", () => {
    const script = fileURLToPath(new URL("../../../scripts/build-wasm.mjs", import.meta.url))
    const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" })
    assert.strictEqual(status, 0, stderr)
  })
})
