import { defineDataset } from "@edgeandnode/amp"

export default defineDataset({
  name: "example",
  dependencies: { anvil: "_/anvil@0.1.0" },
  tables: {
    blocks: { sql: "SELECT * FROM anvil.blocks" },
    transactions: { sql: "SELECT * FROM anvil.transactions" },
    logs: { sql: "SELECT * FROM anvil.logs", indexes: [["address"]] }
  }
})
