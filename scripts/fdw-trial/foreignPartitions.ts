/** A sync that would write into foreign partitions, and what becomes of a transaction that does so by hand. */
import assert from "node:assert/strict"
import { BLOCK_COLUMNS, BLOCKS, HALF, only, print, sync, type Trial, until } from "./servers.ts"

export const writeThroughFront = async ({ a, b, front, simulator }: Trial) => {
  const total = simulator.chain.countRows("blocks", simulator.startBlock)
  print("3. A sync that writes into a partitioned table with foreign partitions")
  await front.query(
    `CREATE SCHEMA chain; CREATE TABLE chain.blocks (LIKE a.blocks) PARTITION BY RANGE (_block_num);
     ALTER TABLE chain.blocks ALTER _block_num SET NOT NULL, ALTER _row_index SET NOT NULL`
  )
  for (const [{ name, query }, bounds] of [[a, `(MINVALUE) TO (${HALF})`], [b, `(${HALF}) TO (MAXVALUE)`]] as const) {
    await query("CREATE TABLE target (LIKE chain.blocks INCLUDING ALL)")
    await front.query(
      `CREATE FOREIGN TABLE chain.target_${name} PARTITION OF chain.blocks FOR VALUES FROM ${bounds} SERVER ${name}
         OPTIONS (schema_name 'public', table_name 'target', batch_size '1000')`
    )
  }
  const key = await front.query("ALTER TABLE chain.blocks ADD PRIMARY KEY (_block_num, _row_index)").then(
    () => "accepted",
    (error: Error) => error.message
  )
  print(`   its primary key: ${key}`)
  await front.query("CREATE TABLE keyed (n bigint PRIMARY KEY) PARTITION BY RANGE (n)")
  const foreign = await front.query(
    "CREATE FOREIGN TABLE keyed_a PARTITION OF keyed FOR VALUES FROM (0) TO (1) SERVER a OPTIONS (table_name 'keyed')"
  ).then(() => "accepted", (error: Error) => error.message)
  print(`   a foreign partition of a table with a primary key: ${foreign}`)
  const third = sync(front, simulator, {
    blocks: `SELECT ${BLOCK_COLUMNS} FROM anvil.blocks`
  })
  const refusal = { reason: "" }
  await until(() => third.output().slice(-2_000), async () => {
    const row = await only(
      front.query<{ state: string; reason: string }>("SELECT state, reason FROM chain._ampsync_progress")
    )
    refusal.reason = row.reason
    return row.state === "parked"
  })
  print(`   ampsync parks the table: ${refusal.reason}`)
  third.child.kill("SIGTERM")

  // What would happen without that: by hand, as a chunk would be written.
  const { data_directory: data } = await only(front.query<{ data_directory: string }>("SHOW data_directory"))
  const file = `'${data}/rows' (FORMAT binary)`
  await front.query(
    `CREATE TABLE chain.checkpoint (n int); INSERT INTO chain.checkpoint VALUES (0); CREATE TABLE chain.plain (LIKE a.blocks);
     COPY (SELECT * FROM public.blocks) TO ${file}`
  )
  const copied = async (table: string) => {
    const begun = performance.now()
    await front.query(`BEGIN; COPY chain.${table} FROM ${file}; UPDATE chain.checkpoint SET n = 1; COMMIT`)
    return `${Math.round(performance.now() - begun)} ms`
  }
  print(
    `   by hand, COPY of ${total} rows: ${await copied("plain")} into a table, ${await copied(
      "blocks"
    )} into the partitions`
  )
  const removed = performance.now()
  await front.query(`BEGIN; DELETE FROM chain.blocks WHERE _block_num >= ${BLOCKS - 5}; ROLLBACK`)
  print(`   DELETE of the newest blocks: ${(performance.now() - removed).toFixed(1)} ms`)
  // The second server refuses its COMMIT, as one that is gone would: a constraint that is checked at the commit.
  await b.query(
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''gone''; END';
     CREATE CONSTRAINT TRIGGER refuse AFTER DELETE ON target DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`
  )
  const counts = async () => ({
    a: (await only(a.query<{ n: number }>("SELECT count(*)::int AS n FROM target"))).n,
    b: (await only(b.query<{ n: number }>("SELECT count(*)::int AS n FROM target"))).n,
    checkpoint: (await only(front.query<{ n: number }>("SELECT n FROM chain.checkpoint"))).n
  })
  print(`   before: ${JSON.stringify(await counts())}`)
  const failed = await front.query(
    `BEGIN; DELETE FROM chain.blocks WHERE _block_num BETWEEN ${HALF - 10} AND ${HALF + 9};
     UPDATE chain.checkpoint SET n = 2; COMMIT`
  ).then(() => "committed", (error: Error) => error.message)
  await front.query("ROLLBACK")
  const left = await counts()
  print(`   COMMIT of a deletion on both servers, which the second one refuses: ${failed}`)
  print(`   after: ${JSON.stringify(left)}`)
  assert.equal(left.checkpoint, 1)
  assert.equal(left.b, total - HALF)
  assert.equal(left.a, HALF - 10, "the first server kept what it committed")
  print("   the rows of one server are gone, those of the other and the checkpoint are as before: not atomic")
}
