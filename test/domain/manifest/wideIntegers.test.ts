import { assert, describe, it } from "@effect/vitest"
import { eventTables } from "../../../src/domain/manifest/eventTables.ts"
import { wideIntegers } from "../../../src/domain/manifest/wideIntegers.ts"
import { wideIntegerOverrides } from "../../../src/domain/postgres/types/columnOverride.ts"
import published from "../../fixtures/event-tables/published.json" with { type: "json" }
import { field } from "../arrow/columns.ts"

const decode = (signature: string) => `evm_decode_log(topic1, topic2, topic3, data, '${signature}')`

describe("integers of more than 126 bits in a query of decoded logs", () => {
  it("are found in the tables of the published package, and in those of eventTables", () => {
    assert.deepStrictEqual(wideIntegers(published.tables.transfer.sql), ["value"])
    const inputs = [["uint128", "a"], ["uint120", "b"], ["int256", "cD"], ["uint", "e"], ["uint256[]", "f"]]
      .map(([type, name]) => ({ type: type!, name: name! }))
    const { sql } = eventTables([{ type: "event", name: "Wide", inputs }])["wide"]!
    assert.deepStrictEqual(wideIntegers(sql), ["a", "c_d", "e"])
  })

  it("are found where the log is decoded in the list of columns itself", () => {
    const log = decode("Transfer(address indexed from, address indexed to, uint256 indexed value)")
    assert.deepStrictEqual(
      wideIntegers(`SELECT block_num, ${log}['value'] AS "Amount", ${log}['from'] AS x FROM anvil.logs`),
      ["Amount"]
    )
  })

  it("are none where queries decode several events, or none", () => {
    const both = `SELECT a['value'] AS value FROM (SELECT ${decode("A(uint256 value)")} AS a, ${
      decode("B(uint8 value)")
    } AS b FROM l)`
    assert.deepStrictEqual(wideIntegers(both), [])
    assert.deepStrictEqual(wideIntegers("SELECT e['value'] AS value FROM l"), [])
    assert.deepStrictEqual(wideIntegers("SELECT 'unclosed"), [])
  })

  it("become numeric(78,0) where they come as text or whole decimals, and the config names no type", () => {
    const fields = [
      field("a", { kind: "utf8", offsets: 32 }, true),
      field("b", { kind: "decimal", bits: 256, precision: 76, scale: 0 }, true),
      field("c", { kind: "utf8", offsets: 32 }, true),
      field("d", { kind: "bool" }, true)
    ]
    const given = [{ column: "c", type: { kind: "text" } }] as const
    assert.deepStrictEqual(
      wideIntegerOverrides({ fields }, ["a", "b", "c", "d", "gone"], given).map(({ column }) => column),
      ["a", "b"]
    )
  })
})
