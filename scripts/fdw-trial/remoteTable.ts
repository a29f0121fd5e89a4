/** A table of another server, read through the front. */
import assert from "node:assert/strict"
import { best, BLOCKS, only, print, type Trial } from "./servers.ts"

export const readRemoteTable = async ({ b, complete, front, simulator }: Trial) => {
  print("1. A table on another server")
  const bounded = (schema: string) =>
    `SELECT count(*)::int AS n FROM ${schema}.logs WHERE _block_num <= (
       SELECT max_block_num FROM ${schema}._ampsync_checkpoints WHERE table_name = 'logs')`
  const [local, remote] = [
    await only(b.query<{ n: number }>(bounded("chain"))),
    await only(front.query(bounded("b")))
  ]
  assert.deepEqual(remote, local)
  assert.ok(local.n > 0)
  const lookup = (schema: string) => `SELECT * FROM ${schema}.logs WHERE _block_num = ${BLOCKS - 10}`
  print(
    `   ${local.n} rows up to the watermark: ${await best(() => b.query(bounded("chain")))} on its server, ` +
      `${await best(() => front.query(bounded("b")))} through the front`
  )
  print(
    `   the rows of one block: ${await best(() => b.query(lookup("chain")))} on its server, ` +
      `${await best(() => front.query(lookup("b")))} through the front`
  )
  // Every local transaction is one snapshot of a remote server, also at READ COMMITTED.
  await front.query("BEGIN")
  const before = await front.query("SELECT * FROM b._ampsync_latest")
  simulator.reorg(3)
  simulator.mine(5)
  const total = simulator.chain.countRows("blocks", simulator.startBlock)
  await complete(total - 1)
  assert.deepEqual(await front.query("SELECT * FROM b._ampsync_latest"), before)
  await front.query("COMMIT")
  const after = await front.query("SELECT * FROM b._ampsync_latest")
  assert.notDeepEqual(after, before)
  print("   a transaction reads one snapshot of that server through a reorg, the next one the new chain\n")
}
