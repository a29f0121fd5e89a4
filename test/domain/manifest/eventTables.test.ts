import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { type Abi, type AbiParameter, camelToSnake, eventTables } from "../../../src/domain/manifest/eventTables.ts"
import { streamingQuery } from "../../../src/domain/sql/streamingQuery.ts"
import abiFile from "../../fixtures/event-tables/abi.json" with { type: "json" }
import published from "../../fixtures/event-tables/published.json" with { type: "json" }

const event = (name: string, ...inputs: ReadonlyArray<AbiParameter>) => ({ type: "event", name, inputs }) as const
const input = (type: string, name?: string): AbiParameter => ({ type, ...(name === undefined ? {} : { name }) })

const normalized = (sql: string) => Result.getOrThrow(streamingQuery(sql)).normalized

const made = (abi: Abi) => {
  const warnings: Array<string> = []
  const tables = eventTables(abi, "chain", (sentence) => void warnings.push(sentence))
  const columns = Object.fromEntries(
    Object.entries(tables).map((
      [name, { sql }]
    ) => [name, [...sql.matchAll(/\] AS ([^,]+?)(?=,| FROM)/g)].map((_) => _[1])])
  )
  return { tables, columns, warnings }
}

describe("eventTables", () => {
  it("gives the tables and queries of the published package, name for name", () => {
    const generated = eventTables(abiFile.abi as Abi, published.source)
    assert.deepStrictEqual(Object.keys(generated), Object.keys(published.tables))
    for (const [name, { sql }] of Object.entries(published.tables)) {
      assert.strictEqual(normalized(generated[name]!.sql), normalized(sql), name)
    }
  })

  it("reads the logs of the source that is named", () => {
    assert.include(made([event("Paused")]).tables["paused"]!.sql, "FROM chain.logs")
  })

  it("names overloaded events by the types of their inputs, wherever they stand in the ABI, and reports it", () => {
    const two = [
      event("Sold", input("uint256", "id")),
      event("Sold", input("address", "to"), input("uint256[2]", "ids"))
    ]
    const { columns, warnings } = made(two)
    assert.deepStrictEqual(columns, { sold_uint256: ["id"], sold_address_uint256_2_: ["to", "ids"] })
    assert.deepStrictEqual(Object.keys(made(two.toReversed()).columns).toSorted(), Object.keys(columns).toSorted())
    assert.lengthOf(warnings, 2)
    assert.include(warnings[0], "several events are called Sold; Sold(uint256 id) is table \"sold_uint256\"")
  })

  it("keeps an event whose table name another one has", () => {
    const long = "x".repeat(70)
    const { columns, warnings } = made([
      event("Sent", input("address", "a")),
      event("Sent", input("uint8", "b")),
      event("SentAddress", input("bool", "c")),
      event(long, input("address", "d")),
      event(long, input("bool", "e"))
    ])
    assert.deepStrictEqual(Object.values(columns).flat().toSorted(), ["a", "b", "c", "d", "e"])
    assert.isTrue(
      warnings.some((line) => line.includes("another event has table \"sent_address\"; SentAddress(bool c)"))
    )
  })

  it("gives distinct names to inputs without a name, with that of another column, or with the same in snake case", () => {
    const { columns, tables, warnings } = made([
      event(
        "Odd",
        input("uint8"),
        input("address", "address"),
        input("uint64", "timestamp"),
        input("bool", "isOpen"),
        input("bool", "is_open"),
        input("uint8", "Größe")
      )
    ])
    assert.deepStrictEqual(columns["odd"], [
      "arg0",
      "event_address",
      "event_timestamp",
      "is_open",
      "event_is_open",
      "\"größe\""
    ])
    assert.include(tables["odd"]!.sql, "Odd(uint8 arg0, address address, uint64 timestamp, bool isOpen, bool is_open, ")
    assert.lengthOf(warnings, 4)
  })

  it("makes no table of an anonymous event, and reports it", () => {
    const { columns, warnings } = made([{ ...event("Hidden"), anonymous: true }, { type: "function" }])
    assert.deepStrictEqual(columns, {})
    assert.match(warnings[0]!, /event Hidden is anonymous/)
  })

  it("escapes quotes in names", () => {
    const sql = made([event("Quoted", input("uint8", "it's"))]).tables["quoted"]!.sql
    assert.strictEqual(normalized(sql).includes("e . event [ 'it''s' ] as \"it's\""), true, sql)
  })

  it("writes names in snake case, each capital by itself", () => {
    assert.deepStrictEqual(["Transfer", "tokenID", "HTTPUrl", "_x2Y"].map(camelToSnake), [
      "transfer",
      "token_i_d",
      "h_t_t_p_url",
      "_x2_y"
    ])
  })
})
