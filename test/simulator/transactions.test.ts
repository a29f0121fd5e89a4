/** Fees and gas of simulated transactions, as observed on real servers. */
import { assert, describe, it } from "@effect/vitest"
import { Chain } from "../../src/simulator/Chain.ts"

describe("transactions of the simulator", () => {
  for (const dialect of ["nozzle", "amp"] as const) {
    const rows = [...new Chain({ seed: 5, dialect, blocks: 40 }).rows("transactions")]
    const legacy = rows.filter((row) => (row["type"] as number) < 2)
    const dynamic = rows.filter((row) => (row["type"] as number) >= 2)

    it(`${dialect}: gas_used is the gas of the block up to the transaction, that one included`, () => {
      for (const [i, row] of rows.entries()) {
        const before = rows[i - 1]?.["block_num"] === row["block_num"] ? rows[i - 1]!["gas_used"] as bigint : 0n
        assert.isAtLeast(Number(row["gas_used"] as bigint) - Number(before), 21_000)
      }
    })

    it(`${dialect}: only transactions without a fee cap have a gas price, and it is their fee cap as well`, () => {
      assert.isNotEmpty(legacy)
      assert.isNotEmpty(dynamic)
      for (const row of dynamic) assert.isNull(row["gas_price"])
      for (const row of legacy) {
        assert.isNotNull(row["gas_price"])
        assert.strictEqual(row["max_fee_per_gas"], row["gas_price"])
        assert.isNull(row["max_priority_fee_per_gas"])
      }
      for (const row of dynamic) assert.isNotNull(row["max_fee_per_gas"])
    })
  }
})
