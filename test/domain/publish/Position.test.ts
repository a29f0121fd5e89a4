import { assert, describe, it } from "@effect/vitest"
import { type Position, whyBehind } from "../../../src/domain/publish/Position.ts"

const position = (
  schema: string,
  blocks: Readonly<Record<string, bigint>>,
  latest?: bigint,
  network = "anvil"
): Position => ({
  schema,
  tables: Object.entries(blocks).map(([table, block]) => ({ table, network, block })),
  latest: latest === undefined ? [] : [{ network, block: latest, tables: Object.keys(blocks) }]
})

const tables = ["blocks", "logs"]

describe("whether readers would go back in blocks", () => {
  it("they would not where every table and the block of all of them are as far", () => {
    const shown = position("v1", { blocks: 10n, logs: 12n }, 10n)
    assert.isUndefined(whyBehind(shown, position("v2", { blocks: 10n, logs: 12n }, 10n), tables))
    assert.isUndefined(whyBehind(shown, position("v2", { blocks: 11n, logs: 12n }, 11n), tables))
  })

  it("they would where one table is a block behind, or has none", () => {
    const shown = position("v1", { blocks: 10n, logs: 12n }, 10n)
    assert.include(
      whyBehind(shown, position("v2", { blocks: 10n, logs: 11n }, 10n), tables),
      `"logs" is complete up to block 11`
    )
    assert.include(whyBehind(shown, position("v2", { blocks: 10n }, 10n), tables), `"logs" is complete up to no block`)
  })

  it("they would where the tables are as far, but have no newer block in common", () => {
    const shown = position("v1", { blocks: 10n, logs: 10n }, 10n)
    const next = position("v2", { blocks: 12n, logs: 11n }, 8n)
    assert.include(whyBehind(shown, next, tables), "all complete up to block 8")
    assert.include(whyBehind(shown, { ...next, latest: [] }, tables), "all complete up to no block")
  })

  it("a table that is not to be shown any more, and another network, do not count", () => {
    const shown = position("v1", { blocks: 10n, gone: 12n }, 10n)
    assert.isUndefined(whyBehind(shown, position("v2", { blocks: 10n }, 10n), ["blocks"]))
    assert.isUndefined(whyBehind(shown, position("v2", { blocks: 3n, gone: 3n }, 3n, "sepolia"), ["blocks", "gone"]))
  })
})
