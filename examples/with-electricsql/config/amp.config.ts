// `defineDataset` of "@edgeandnode/amp" around it is fine, and not needed.
export default {
  name: "example",
  dependencies: { anvil: "_/anvil@0.1.0" },
  tables: {
    blocks: { sql: "SELECT _block_num, timestamp, hash, parent_hash, gas_used FROM anvil.blocks" },
    transactions: { sql: "SELECT * FROM anvil.transactions" },
    logs: { sql: "SELECT * FROM anvil.logs" }
  }
}
