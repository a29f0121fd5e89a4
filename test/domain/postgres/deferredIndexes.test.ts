import { assert, describe, it } from "@effect/vitest"
import {
  blockRangesIndex,
  completeDeferred,
  createDeferred,
  deferredIndexes,
  planDeferred
} from "../../../src/domain/postgres/table/deferredIndexes.ts"
import { createTable, type TableDefinition } from "../../../src/domain/postgres/table/tableDdl.ts"
import { type IndexDetails, indexName } from "../../../src/domain/postgres/table/tableIndexes.ts"

const definition: TableDefinition = {
  schema: "s",
  table: "t",
  columns: [
    { name: "_block_num", type: "bigint", nullable: false },
    { name: "block_num", type: "bigint", nullable: false },
    { name: "hash", type: "bytea", nullable: false }
  ],
  positionColumn: "_block_num",
  primaryKey: ["hash"],
  comment: undefined
}

const index = (fields: Partial<IndexDetails> & Pick<IndexDetails, "name" | "columns">): IndexDetails => ({
  isValid: true,
  isPlain: true,
  isUnique: true,
  isPrimaryKey: false,
  isUnbounded: false,
  ...fields
})

const marker = index({ name: blockRangesIndex("t"), columns: ["_block_num"], isPlain: false, isUnique: false })
const built = deferredIndexes(definition).map(({ columns, kind, name }) =>
  index({ name, columns, isUnique: kind !== "plain" })
)

describe("the keys of a table that was created without them", () => {
  it("are those that it would have been created with", () => {
    const [create, block] = createTable(definition, false)
    assert.include(create, "PRIMARY KEY (\"hash\"), UNIQUE (\"_block_num\", \"_row_index\")")
    assert.include(block, "(block_num)")
    assert.deepStrictEqual(deferredIndexes(definition).map(({ columns, kind }) => [kind, ...columns]), [
      ["primary key", "hash"],
      ["unique", "_block_num", "_row_index"],
      ["plain", "block_num"]
    ])
    assert.deepStrictEqual(
      deferredIndexes({ ...definition, primaryKey: undefined }).map(({ columns, kind }) => [kind, ...columns]),
      [["primary key", "_block_num", "_row_index"], ["plain", "block_num"]]
    )
  })

  it("are all missing at first, and nothing is to be done once they are keys", () => {
    assert.deepStrictEqual(planDeferred(definition, [marker]), {
      broken: [],
      missing: deferredIndexes(definition)
    })
    assert.lengthOf(planDeferred(definition, [])!.missing, 3, "somebody dropped the index on the blocks")
    const [key, ...others] = built
    assert.isUndefined(planDeferred(definition, [{ ...key!, isPrimaryKey: true }, ...others]))
    // The marker may be one of a user who made it again by hand.
    assert.isUndefined(planDeferred(definition, [marker, { ...key!, isPrimaryKey: true }, ...others]))
  })

  it("of an interrupted build are dropped, and those that are whole stay", () => {
    const [key, own, block] = built
    const plan = planDeferred(definition, [marker, key!, { ...own!, isValid: false }])
    assert.deepStrictEqual(plan, { broken: [own!.name], missing: deferredIndexes(definition).slice(1) })
    assert.deepStrictEqual(planDeferred(definition, [marker, key!, own!, block!]), { broken: [], missing: [] })
  })

  it("of an earlier config are dropped, and indexes of others are left alone", () => {
    const before = { ...definition, primaryKey: ["block_num"] }
    const [old] = deferredIndexes(before)
    const plan = planDeferred(definition, [
      marker,
      index({ name: old!.name, columns: old!.columns }),
      index({ name: "by_hand", columns: ["hash"], isValid: false }),
      index({ name: indexName("t", ["hash"]), columns: ["hash"], isUnique: false })
    ])
    assert.deepStrictEqual(plan?.broken, [old!.name])
  })

  it("have names that no index of the config has, and that fit PostgreSQL", () => {
    const long = { ...definition, table: "t".repeat(63) }
    const names = [blockRangesIndex(long.table), ...deferredIndexes(long).map(({ name }) => name)]
    assert.isTrue(names.every((name) => name.length <= 63))
    assert.strictEqual(new Set([...names, ...long.primaryKey!.map((name) => indexName(long.table, [name]))]).size, 5)
  })

  it("become keys in two statements, which keep the replica identity of a published table", () => {
    const [key, own] = deferredIndexes(definition)
    const [alter, drop] = completeDeferred(definition, false)
    assert.strictEqual(
      alter,
      `ALTER TABLE "s"."t" ADD CONSTRAINT "${key!.name}" PRIMARY KEY USING INDEX "${key!.name}", ` +
        `ADD CONSTRAINT "${own!.name}" UNIQUE USING INDEX "${own!.name}", REPLICA IDENTITY DEFAULT`
    )
    assert.strictEqual(drop, `DROP INDEX IF EXISTS "s"."${blockRangesIndex("t")}"`)
    assert.notInclude(completeDeferred(definition, true).join(), "IDENTITY")
    assert.match(createDeferred(definition, key!), /^CREATE UNIQUE INDEX "t_hash_key_/)
    assert.match(createDeferred(definition, deferredIndexes(definition)[2]!), /^CREATE INDEX "t_block_num_key_/)
  })
})
