/**
 * Follows tables that ampsync fills, through every reorg: keeps the number of logs of each address in a table of its own.
 *
 * Reads nothing of ampsync but `_ampsync_latest`, `_ampsync_progress`, `_ampsync_reorgs` and `NOTIFY ampsync`. What it derives
 * and how far it came commit together, from one snapshot, so it may be killed at any time and be away for as long as it likes.
 */
import { Client, escapeIdentifier } from "pg"

const TABLES = ["blocks", "logs"]
/** Reorgs that ampsync keeps of each table: after more of them than that, the oldest are not known any more. */
const KEPT_REORGS = 1_000
/** Notifications are a hint, and one may be lost with its connection: the tables are read this often without any. */
const POLL_MILLIS = 5_000
const RECONNECT_MILLIS = 1_000

/** `logs` counts the logs of one address in one block, so that a block can be taken back; the view adds them up. */
const SETUP = `
  CREATE TABLE IF NOT EXISTS position (block bigint NOT NULL);
  INSERT INTO position SELECT -1 WHERE NOT EXISTS (SELECT FROM position);
  CREATE TABLE IF NOT EXISTS newest_reorgs (table_name text PRIMARY KEY, id bigint NOT NULL);
  CREATE TABLE IF NOT EXISTS logs_of_block (
    block bigint, block_time timestamptz NOT NULL, address bytea, logs bigint NOT NULL, PRIMARY KEY (block, address)
  );
  CREATE OR REPLACE VIEW logs_of_address AS
    SELECT address, sum(logs) AS logs, max(block_time) AS last_at FROM logs_of_block GROUP BY address`

/** The first block that is not what it was when the rows were derived, by the entries that came since; null where there are none. */
const FIRST_REPLACED = `
  WITH entries AS (
    SELECT r.table_name, r.first_block, r.id FROM _ampsync_reorgs r LEFT JOIN newest_reorgs n USING (table_name)
    WHERE r.table_name = ANY($1) AND r.id > coalesce(n.id, -1)
  ), taken AS (
    INSERT INTO newest_reorgs SELECT table_name, max(id) FROM entries GROUP BY table_name
    ON CONFLICT (table_name) DO UPDATE SET id = excluded.id
  ), of_tables AS (
    SELECT min(first_block) AS first_block, count(*) FROM entries GROUP BY table_name
  )
  SELECT CASE WHEN max(count) >= $2 THEN 0 ELSE min(first_block) END AS block FROM of_tables`

/** Where the derived rows stand. */
export interface Position {
  /** All of them are of blocks up to this one; -1 before the first. */
  readonly block: bigint
  /** The tables that are not in order, with their state and its reason. */
  readonly problems: ReadonlyArray<string>
}

export interface Options {
  readonly url: string
  /** The schema that ampsync fills. */
  readonly schema: string
  /** The schema of what is derived; made where it does not exist. */
  readonly derived: string
}

/** Connects, and makes what is derived where it does not exist yet. */
export const connect = async ({ derived, schema, url }: Options): Promise<Client> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  const own = escapeIdentifier(derived)
  await client.query(
    `CREATE SCHEMA IF NOT EXISTS ${own}; SET search_path TO ${own}, ${escapeIdentifier(schema)}; ${SETUP}`
  )
  return client
}

/** Takes back what reorgs replaced, and adds the blocks that are complete in all tables; returns where it stands then. */
export const update = async (client: Client): Promise<Position> => {
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
  try {
    const position = await apply(client)
    await client.query("COMMIT")
    return position
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {})
    throw error
  }
}

const apply = async (client: Client): Promise<Position> => {
  const before = (await readBlock(client, "SELECT block FROM position FOR UPDATE")) ?? -1n
  // One number per table: the entries of a table ascend in the order of their commits, those of two tables need not.
  const firstReplaced = await readBlock(client, FIRST_REPLACED, [TABLES, KEPT_REORGS])
  const kept = firstReplaced !== undefined && firstReplaced <= before ? firstReplaced - 1n : before
  await client.query("DELETE FROM logs_of_block WHERE block > $1", [kept])
  // Up to this block both tables are complete and show the same chain; there is none while they have no block in common.
  const latest = await readBlock(
    client,
    "SELECT max(block_num) AS block FROM _ampsync_latest WHERE tables @> $1",
    [TABLES]
  )
  const block = latest === undefined || latest < kept ? kept : latest
  await client.query(
    `INSERT INTO logs_of_block
     SELECT l._block_num, b.timestamp, l.address, count(*) FROM logs l JOIN blocks b USING (_block_num)
     WHERE l._block_num > $1 AND l._block_num <= $2 GROUP BY 1, 2, 3`,
    [kept, block]
  )
  await client.query("UPDATE position SET block = $1", [block])
  const { rows } = await client.query<{ problem: string }>(
    `SELECT concat_ws(': ', table_name || ' is ' || state, reason) AS problem FROM _ampsync_progress
     WHERE table_name = ANY($1) AND state NOT IN ('catching up', 'building indexes', 'caught up')`,
    [TABLES]
  )
  return { block, problems: rows.map(({ problem }) => problem) }
}

/** The column `block` of the first row; undefined where there is none, or it is null. */
const readBlock = async (client: Client, text: string, values: ReadonlyArray<unknown> = []) => {
  const { rows } = await client.query<{ block: string | null }>(text, [...values])
  const block = rows[0]?.block
  return block === undefined || block === null ? undefined : BigInt(block)
}

/** Follows until `signal` is aborted; reports each position, and each failure, after which it connects again. */
export const follow = async (
  options: Options,
  signal: AbortSignal,
  report: (position: Position | Error) => void
): Promise<void> => {
  while (!signal.aborted) {
    let client: Client | undefined
    try {
      client = await connect(options)
      await followOn(client, options.schema, signal, report)
    } catch (error) {
      report(error as Error)
      await sleep(RECONNECT_MILLIS, signal)
    } finally {
      await client?.end().catch(() => {})
    }
  }
}

const followOn = async (
  client: Client,
  schema: string,
  signal: AbortSignal,
  report: (position: Position) => void
): Promise<void> => {
  let failure: Error | undefined
  let wake = () => {}
  let isNotified = true
  client.on("error", (error) => {
    failure = error
    wake()
  })
  client.on("notification", ({ payload = "{}" }) => {
    const commit = JSON.parse(payload) as { readonly schema?: string; readonly table?: string }
    if (commit.schema !== schema || !TABLES.includes(commit.table ?? "")) return
    isNotified = true
    wake()
  })
  await client.query("LISTEN ampsync")
  while (!signal.aborted) {
    isNotified = false
    report(await update(client))
    if (!isNotified && failure === undefined) {
      const woken = new AbortController()
      wake = () => woken.abort()
      await sleep(POLL_MILLIS, AbortSignal.any([signal, woken.signal]))
    }
    if (failure !== undefined) throw failure
  }
}

/** Ends early, without a failure, when `signal` is aborted. */
const sleep = (millis: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, millis)
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true })
    if (signal.aborted) resolve()
  })
