import { assert, describe, it } from "@effect/vitest"
import { alterTable, createTable, type TableColumn } from "../../../src/domain/postgres/table/tableDdl.ts"

const columnsOf = (...types: ReadonlyArray<string>): ReadonlyArray<TableColumn> =>
  types.map((type, index) => ({ name: `c${index}`, type, nullable: true }))

const wide = columnsOf("bytea", "text", "jsonb", "text[]", "numeric(78,0)[]")
const narrow = columnsOf("bigint", "numeric(78,0)", "timestamp with time zone", "interval", "boolean")
const definition = {
  schema: "public",
  table: "t",
  positionColumn: "_block_num",
  primaryKey: undefined,
  comment: undefined
}

/** The columns that are compressed by lz4. */
const compressed = (statement: string): number => statement.split(" COMPRESSION lz4").length - 1

describe("columns whose values may be large", () => {
  it("are compressed by lz4 where the server has it, in a new table and in one that exists", () => {
    const all = [...wide, ...narrow]
    const create = (lz4: boolean) => createTable({ ...definition, columns: all }, lz4)[0]!
    const alter = (lz4: boolean) => alterTable({ ...definition, columns: all }, { added: all, relaxed: [] }, lz4)!
    for (const statement of [create, alter]) {
      assert.strictEqual(compressed(statement(true)), wide.length)
      assert.strictEqual(compressed(statement(false)), 0)
    }
    for (const [index, { type }] of wide.entries()) assert.include(create(true), `"c${index}" ${type} COMPRESSION lz4`)
  })
})
