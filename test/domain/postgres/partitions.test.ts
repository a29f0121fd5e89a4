import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  missingPartitions,
  parseBounds,
  type PartitionBounds,
  partitioningConflict,
  partitioningNote,
  partitionName,
  partitionProblems,
  readyStretch,
  withPartitions
} from "../../../src/domain/postgres/table/partitions.ts"

const bounds = (...pairs: ReadonlyArray<readonly [from: number, to: number]>): ReadonlyArray<PartitionBounds> =>
  pairs.map(([from, to]) => ({ from: BigInt(from), to: BigInt(to) }))

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Steps = Schema.Array(Schema.Struct({
  width: between(1, 40),
  first: between(0, 300),
  blocks: between(0, 99),
  dropped: between(0, 40)
})).check(Schema.isMaxLength(8))

const missing = (existing: ReadonlyArray<PartitionBounds>, first: number, last: number, width: number) =>
  missingPartitions(existing, BigInt(first), BigInt(last), BigInt(width), 100)

describe("the partitions that rows need", () => {
  it("begin and end at multiples of the width", () => {
    assert.deepStrictEqual(missing([], 0, 0, 10), bounds([0, 10]))
    assert.deepStrictEqual(missing([], 7, 31, 10), bounds([0, 10], [10, 20], [20, 30], [30, 40]))
    assert.deepStrictEqual(missing(bounds([0, 10], [10, 20]), 5, 19, 10), [])
    assert.deepStrictEqual(missing(bounds([0, 10], [10, 20]), 5, 20, 10), bounds([20, 30]))
  })

  it("fill the gap that one leaves which was dropped, and nothing else", () => {
    assert.deepStrictEqual(missing(bounds([0, 10], [20, 30]), 0, 29, 10), bounds([10, 20]))
    assert.deepStrictEqual(missing(bounds([20, 30], [30, 40]), 25, 35, 10), [])
    assert.deepStrictEqual(missing(bounds([20, 30]), 5, 25, 10), bounds([0, 10], [10, 20]))
  })

  it("meet the next multiple of another width behind those that are there", () => {
    assert.deepStrictEqual(missing(bounds([0, 10], [10, 20]), 15, 60, 25), bounds([20, 25], [25, 50], [50, 75]))
    assert.deepStrictEqual(missing(bounds([0, 100]), 99, 130, 30), bounds([100, 120], [120, 150]))
  })

  it("end with the last position that a bigint holds", () => {
    const last = 2n ** 63n - 1n
    assert.deepStrictEqual(missingPartitions([], last - 1n, last, 1000n, 10), [
      { from: last / 1000n * 1000n, to: 2n ** 63n }
    ])
    assert.deepStrictEqual(missingPartitions([], last, last, 2n ** 53n - 1n, 10).at(-1)!.to, 2n ** 63n)
    const stretch = readyStretch([{ from: 0n, to: 2n ** 63n }], last)
    assert.strictEqual(stretch?.aheadFrom, 2n ** 63n, "nothing comes behind it")
  })

  it("are as few as asked for", () => {
    assert.lengthOf(missingPartitions([], 0n, 25_000_000n, 1n, 100), 100)
    assert.lengthOf(missingPartitions(bounds([0, 10]), 0n, 1_000n, 10n, 7), 7)
  })

  it.prop(
    "never overlap, leave no position out, and keep what is there, whatever the widths were",
    { steps: Steps },
    ({ steps }) => {
      let existing: ReadonlyArray<PartitionBounds> = []
      for (const { blocks, dropped, first, width } of steps) {
        existing = existing.filter((_, index) => index !== dropped)
        const more = missing(existing, first, first + blocks, width)
        const all = withPartitions(existing, more)
        assert.isTrue(existing.every((one) => all.includes(one)))
        for (const { from, to } of all) assert.isTrue(from < to)
        for (const [index, { from }] of all.entries()) assert.isTrue(index === 0 || all[index - 1]!.to <= from)
        for (let at = BigInt(first); at <= BigInt(first + blocks); at += 1n) {
          assert.lengthOf(all.filter(({ from, to }) => from <= at && at < to), 1)
        }
        const ends = new Set(existing.flatMap(({ from, to }) => [from, to]))
        for (const { from, to } of more) {
          for (const bound of [from, to]) assert.isTrue(bound % BigInt(width) === 0n || ends.has(bound))
        }
        const stretch = readyStretch(all, BigInt(first))
        assert.isTrue(stretch !== undefined && stretch.from <= BigInt(first) && BigInt(first + blocks) < stretch.to)
        existing = all
      }
    }
  )
})

describe("a stretch of partitions", () => {
  it("has no gap, and is known from its last one on to need the next", () => {
    const all = bounds([0, 10], [10, 20], [30, 40])
    assert.deepStrictEqual(readyStretch(all, 5n), { from: 0n, to: 20n, aheadFrom: 10n })
    assert.deepStrictEqual(readyStretch(all, 19n), { from: 0n, to: 20n, aheadFrom: 10n })
    assert.deepStrictEqual(readyStretch(all, 35n), { from: 30n, to: 40n, aheadFrom: 30n })
    for (const outside of [20n, 29n, 40n]) assert.isUndefined(readyStretch(all, outside))
    assert.isUndefined(readyStretch([], 0n))
  })
})

describe("the name of a partition", () => {
  it("has its bounds, fits PostgreSQL, and is that of no other partition", () => {
    const [one, two] = bounds([0, 1_000_000], [1_000_000, 2_000_000])
    assert.strictEqual(partitionName("logs", one!), "logs_0_1000000")
    const long = ["x", "y"].map((end) => "é".repeat(30) + end)
    const largest = { from: 2n ** 63n - 1_000n, to: 2n ** 63n }
    const names = [...long, "logs"].flatMap((table) => [one!, two!, largest].map((of) => partitionName(table, of)))
    assert.strictEqual(new Set(names).size, names.length)
    for (const name of names) {
      assert.isAtMost(new TextEncoder().encode(name).length, 63)
      assert.notInclude(name, "\ufffd")
    }
    assert.match(partitionName(long[0]!, one!), /^é+_[0-9a-f]{8}_0_1000000$/)
  })
})

describe("bounds that PostgreSQL prints", () => {
  it("are read in every form of a range of numbers, and in no other", () => {
    assert.deepStrictEqual(parseBounds("FOR VALUES FROM ('0') TO ('10')"), { from: 0n, to: 10n })
    assert.deepStrictEqual(parseBounds("FOR VALUES FROM ('-5') TO (MAXVALUE)"), { from: -5n, to: 2n ** 63n })
    assert.deepStrictEqual(parseBounds("FOR VALUES FROM (MINVALUE) TO ('7')"), { from: -(2n ** 63n), to: 7n })
    for (const other of ["DEFAULT", "FOR VALUES IN ('1')", "FOR VALUES FROM ('0', 'a') TO ('1', 'b')"]) {
      assert.isUndefined(parseBounds(other))
    }
  })
})

describe("a table of the config", () => {
  const partitionBy = { blocks: 1_000 }

  it("can be partitioned where its primary key has the position", () => {
    assert.deepStrictEqual(partitionProblems("_block_num", { partitionBy, primaryKey: undefined }), [])
    assert.deepStrictEqual(partitionProblems("_block_num", { partitionBy, primaryKey: ["a", "_block_num"] }), [])
    assert.deepStrictEqual(partitionProblems("_block_num", { partitionBy: undefined, primaryKey: ["a"] }), [])
    assert.match(
      partitionProblems("_block_num", { partitionBy, primaryKey: ["a"] }).join(),
      /primaryKey \("a"\) lacks column "_block_num".*Add it to primaryKey, or remove partitionBy/
    )
  })

  it("is compared with how the table that exists is partitioned", () => {
    const byPosition = { rangeColumn: "_block_num", hasDefault: false, bounds: [] }
    const conflict = (
      partitionBlocks: bigint | undefined,
      found: Parameters<typeof partitioningConflict>[1]
    ) =>
      partitioningConflict({
        positionColumn: "_block_num",
        ...(partitionBlocks === undefined ? {} : { partitionBlocks })
      }, found)
    assert.isUndefined(conflict(1_000n, byPosition))
    assert.isUndefined(conflict(undefined, undefined))
    assert.isUndefined(conflict(undefined, byPosition))
    assert.include(conflict(1_000n, undefined), "it is in one piece")
    assert.include(conflict(1_000n, { ...byPosition, rangeColumn: "other" }), "by something else than ranges")
    assert.include(conflict(1_000n, { ...byPosition, rangeColumn: undefined }), "by something else than ranges")
    assert.include(conflict(1_000n, { ...byPosition, hasDefault: true }), "DEFAULT partition")
  })

  it("has a note where its partitions are left to others", () => {
    const byPosition = { rangeColumn: "_block_num", hasDefault: false, bounds: [] }
    const [own, partitioned] = [{ positionColumn: "_block_num" }, { positionColumn: "_block_num", partitionBlocks: 9n }]
    assert.include(partitioningNote(own, byPosition), "ampsync makes none of its partitions")
    assert.isUndefined(partitioningNote(own, { ...byPosition, hasDefault: true }), "every row finds one")
    assert.isUndefined(partitioningNote(own, { ...byPosition, rangeColumn: undefined }))
    assert.isUndefined(partitioningNote(own, undefined))
    assert.isUndefined(partitioningNote(partitioned, byPosition))
  })
})
