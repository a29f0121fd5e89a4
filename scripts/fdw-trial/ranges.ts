/** Ranges of the blocks of one table on two servers, which the front reads as partitions. */
import assert from "node:assert/strict"
import { best, HALF, only, print, type Trial } from "./servers.ts"

export const readRanges = async ({ front, simulator }: Trial) => {
  const total = simulator.chain.countRows("blocks", simulator.startBlock)
  print("2. Ranges of blocks on two servers, under one partitioned table")
  await front.query(
    `CREATE TABLE blocks (LIKE a.blocks) PARTITION BY RANGE (_block_num);
     CREATE FOREIGN TABLE blocks_a PARTITION OF blocks FOR VALUES FROM (MINVALUE) TO (${HALF}) SERVER a
       OPTIONS (schema_name 'chain', table_name 'blocks');
     CREATE FOREIGN TABLE blocks_b PARTITION OF blocks FOR VALUES FROM (${HALF}) TO (MAXVALUE) SERVER b
       OPTIONS (schema_name 'chain', table_name 'blocks')`
  )
  const { n, hashes } = await only(
    front.query<{ n: number; hashes: number }>(
      "SELECT count(*)::int AS n, count(DISTINCT hash)::int AS hashes FROM blocks"
    )
  )
  assert.deepEqual([n, hashes], [total, total])
  // Each block's parent is the one before it, across the servers as well.
  const { broken } = await only(
    front.query<{ broken: number }>(
      `SELECT count(*)::int AS broken FROM (SELECT parent_hash <> lag(hash) OVER (ORDER BY _block_num) AS breaks FROM blocks) c WHERE breaks`
    )
  )
  assert.equal(broken, 0)
  const plan = async (sql: string) =>
    (await front.query<{ "QUERY PLAN": string }>(`EXPLAIN (COSTS OFF, VERBOSE) ${sql}`)).map((row) => row["QUERY PLAN"])
  const pruned = await plan(`SELECT hash FROM blocks WHERE _block_num = ${HALF + 1}`)
  assert.equal(pruned.filter((line) => line.includes("Foreign Scan")).length, 1)
  const both = await plan("SELECT hash FROM blocks")
  print(
    `   ${n} blocks, no gap and no block twice; count(*): ${await best(() =>
      front.query("SELECT count(*) FROM blocks")
    )}`
  )
  print(
    `   one block asks one server; all of them: ${both.filter((line) => line.includes("Async")).length} scans at once`
  )
  const marks = await front.query<{ block_num: string }>(
    `SELECT block_num FROM a._ampsync_watermarks x JOIN b._ampsync_watermarks y USING (table_name, block_num, hash)
     WHERE table_name = 'blocks' ORDER BY 1 DESC LIMIT 1`
  )
  print(`   the newest block that both servers have with the same hash: ${marks[0]?.block_num}\n`)
}
