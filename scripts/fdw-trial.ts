/**
 * Tries tables of a sync on several PostgreSQL servers with postgres_fdw, and prints what came of it: docs/scaling.md.
 *
 * `npm run build`, then `npx jiti scripts/fdw-trial.ts`. It needs nothing but Node and npm, and stops what it starts. Exit code 1
 * where something is not as the page has it.
 */
import { Effect, Redacted } from "effect"
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client } from "pg"
import { startIn } from "../src/demo/embedded-postgres/layer.ts"
import { startSimulator } from "../src/simulator/Simulator.ts"

const BLOCKS = 20_000
const HALF = BLOCKS / 2
const directory = mkdtempSync(join(tmpdir(), "ampsync-fdw-"))
chmodSync(directory, 0o755)
const children: Array<ChildProcess> = []
const clients: Array<Client> = []

const print = (line: string) => process.stdout.write(`${line}\n`)

const server = Effect.fnUntraced(function*(name: string) {
  const home = join(directory, name)
  const { port, url } = yield* startIn(home, "trial")
  const client = new Client({ connectionString: Redacted.value(url) })
  client.on("error", () => undefined)
  yield* Effect.promise(() => client.connect())
  clients.push(client)
  const query = async <Row>(sql: string): Promise<ReadonlyArray<Row>> => (await client.query(sql)).rows as Array<Row>
  return { name, port, url: Redacted.value(url), query }
})

type Server = Effect.Success<ReturnType<typeof server>>

const only = async <Row>(rows: Promise<ReadonlyArray<Row>>): Promise<Row> => (await rows)[0]!

/** Milliseconds of the best of five. */
const best = async (run: () => Promise<unknown>): Promise<string> => {
  const times: Array<number> = []
  for (let n = 0; n < 5; n += 1) {
    const begun = performance.now()
    await run()
    times.push(performance.now() - begun)
  }
  return `${Math.min(...times).toFixed(1)} ms`
}

/** Starts a sync of `tables` into schema `chain` of a server. */
const sync = ({ name, url }: Server, flight: string, admin: string, tables: Readonly<Record<string, string>>) => {
  const manifest = join(directory, `${name}.json`)
  writeFileSync(
    manifest,
    JSON.stringify({
      name: "example",
      network: "anvil",
      version: "0.1.0",
      dependencies: { anvil: "_/anvil@0.1.0" },
      tables: Object.fromEntries(Object.entries(tables).map(([table, sql]) => [table, { sql }]))
    })
  )
  const environment = {
    PATH: process.env["PATH"],
    DATASET_MANIFEST: manifest,
    DATABASE_URL: url,
    DATABASE_SCHEMA: "chain",
    AMP_FLIGHT_ADDR: flight,
    AMP_ADMIN_API_ADDR: admin
  }
  const child = spawn(process.execPath, ["dist/main.js"], { env: environment, stdio: ["ignore", "pipe", "pipe"] })
  children.push(child)
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => output += String(text))
  return { output: () => output, child }
}

const until = async (what: () => string, holds: () => Promise<boolean>) => {
  const limit = Date.now() + 120_000
  while (!(await holds().catch(() => false))) {
    if (Date.now() > limit) throw new Error(`not within two minutes: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const complete = ({ name, query }: Server, output: () => string, tables: number, tip: number) =>
  until(() => `${name} is complete:\n${output().slice(-2_000)}`, async () => {
    const row = await only(
      query<{ n: number }>(`SELECT count(*)::int AS n FROM chain._ampsync_checkpoints WHERE max_block_num >= ${tip}`)
    )
    return row.n === tables
  })

/** Makes another server known to `front`. */
const connect = (front: Server, { name, url }: Server) => {
  const { password, pathname, port, username } = new URL(url)
  return front.query(
    `CREATE EXTENSION IF NOT EXISTS postgres_fdw;
     CREATE SERVER ${name} FOREIGN DATA WRAPPER postgres_fdw
       OPTIONS (host '127.0.0.1', port '${port}', dbname '${
      pathname.slice(1)
    }', async_capable 'true', fetch_size '10000');
     CREATE USER MAPPING FOR CURRENT_USER SERVER ${name} OPTIONS (user '${username}', password '${password}');
     CREATE SCHEMA ${name}; IMPORT FOREIGN SCHEMA chain FROM SERVER ${name} INTO ${name}`
  )
}

const trial = Effect.gen(function*() {
  const simulator = yield* startSimulator({ dialect: "amp", blocks: BLOCKS, seed: 7 })
  const [front, a, b] = [yield* server("front"), yield* server("a"), yield* server("b")]
  const columns = "_block_num, hash, parent_hash, timestamp"
  const half = (condition: string) => ({ blocks: `SELECT ${columns} FROM anvil.blocks WHERE ${condition}` })
  yield* Effect.promise(async () => {
    const { version } = await only(front.query<{ version: string }>("SELECT version()"))
    print(`${version}\n${BLOCKS} blocks, three servers on this machine\n`)
    const first = sync(a, simulator.flightUrl, simulator.adminUrl, half(`_block_num < ${HALF}`))
    const second = sync(b, simulator.flightUrl, simulator.adminUrl, {
      ...half(`_block_num >= ${HALF}`),
      logs: "SELECT _block_num, block_hash, log_index FROM anvil.logs"
    })
    await complete(a, first.output, 1, BLOCKS - 1)
    await complete(b, second.output, 2, BLOCKS - 1)
    await connect(front, a)
    await connect(front, b)

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
    await complete(b, second.output, 2, total - 1)
    assert.deepEqual(await front.query("SELECT * FROM b._ampsync_latest"), before)
    await front.query("COMMIT")
    const after = await front.query("SELECT * FROM b._ampsync_latest")
    assert.notDeepEqual(after, before)
    print("   a transaction reads one snapshot of that server through a reorg, the next one the new chain\n")

    print("2. Ranges of blocks on two servers, under one partitioned table")
    await complete(a, first.output, 1, total - 1)
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
      (await front.query<{ "QUERY PLAN": string }>(`EXPLAIN (COSTS OFF, VERBOSE) ${sql}`)).map((row) =>
        row["QUERY PLAN"]
      )
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
    const third = sync(front, simulator.flightUrl, simulator.adminUrl, {
      blocks: `SELECT ${columns} FROM anvil.blocks`
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
      `   by hand, COPY of ${n} rows: ${await copied("plain")} into a table, ${await copied(
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
  })
})

try {
  await Effect.runPromise(Effect.scoped(Effect.ensuring(
    trial,
    Effect.promise(async () => {
      for (const child of children) child.kill("SIGKILL")
      for (const client of clients) await client.end().catch(() => undefined)
    })
  )))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}
