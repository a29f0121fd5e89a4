/** Servers of a trial, the syncs that write into them, and what is read from them. */
import { Effect, Redacted } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client } from "pg"
import { startIn } from "../../src/demo/embedded-postgres/layer.ts"
import type { Simulator } from "../../src/simulator/Simulator.ts"

/** Blocks of the chain before its first reorg. */
export const BLOCKS = 20_000
/** The first block of the second server. */
export const HALF = BLOCKS / 2
export const BLOCK_COLUMNS = "_block_num, hash, parent_hash, timestamp"

const directory = mkdtempSync(join(tmpdir(), "ampsync-fdw-"))
chmodSync(directory, 0o755)
const children: Array<ChildProcess> = []
const clients: Array<Client> = []

/** Stops and removes what was started. */
export const cleanUp = async () => {
  for (const child of children) child.kill("SIGKILL")
  for (const client of clients) await client.end().catch(() => undefined)
}
export const removeFiles = () => rmSync(directory, { recursive: true, force: true })

export const print = (line: string) => process.stdout.write(`${line}\n`)

/** Starts a server of PostgreSQL, for as long as the scope lasts. */
export const server = Effect.fnUntraced(function*(name: string) {
  const home = join(directory, name)
  const { port, url } = yield* startIn(home, "trial")
  const client = new Client({ connectionString: Redacted.value(url) })
  client.on("error", () => undefined)
  yield* Effect.promise(() => client.connect())
  clients.push(client)
  const query = async <Row>(sql: string): Promise<ReadonlyArray<Row>> => (await client.query(sql)).rows as Array<Row>
  return { name, port, url: Redacted.value(url), query }
})

export type Server = Effect.Success<ReturnType<typeof server>>

/** What all parts of the trial have in common. */
export interface Trial {
  readonly simulator: Simulator
  /** Knows the other two by their names. */
  readonly front: Server
  readonly a: Server
  readonly b: Server
  /** Waits until every table is complete up to `tip`, has its keys, and its sync has caught up. */
  readonly complete: (tip: number) => Promise<void>
}

export const only = async <Row>(rows: Promise<ReadonlyArray<Row>>): Promise<Row> => (await rows)[0]!

/** Milliseconds of the best of five. */
export const best = async (run: () => Promise<unknown>): Promise<string> => {
  const times: Array<number> = []
  for (let n = 0; n < 5; n += 1) {
    const begun = performance.now()
    await run()
    times.push(performance.now() - begun)
  }
  return `${Math.min(...times).toFixed(1)} ms`
}

/** Starts a sync of `tables` into schema `chain` of a server. */
export const sync = (
  { name, url }: Server,
  { adminUrl, flightUrl }: Simulator,
  tables: Readonly<Record<string, string>>
) => {
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
    AMP_FLIGHT_ADDR: flightUrl,
    AMP_ADMIN_API_ADDR: adminUrl
  }
  const child = spawn(process.execPath, ["dist/main.js"], { env: environment, stdio: ["ignore", "pipe", "pipe"] })
  children.push(child)
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => output += String(text))
  return { output: () => output, child }
}

export const until = async (what: () => string, holds: () => Promise<boolean>) => {
  const limit = Date.now() + 120_000
  while (!(await holds().catch(() => false))) {
    if (Date.now() > limit) throw new Error(`not within two minutes: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Waits until `tables` of a server are complete up to `tip`, have their keys, and have caught up. */
export const complete = ({ name, query }: Server, output: () => string, tables: number, tip: number) =>
  until(() => `${name} is complete:\n${output().slice(-2_000)}`, async () => {
    const row = await only(query<{ n: number }>(
      `SELECT count(*)::int AS n FROM chain._ampsync_checkpoints JOIN chain._ampsync_progress USING (table_name)
       WHERE max_block_num >= ${tip} AND state = 'caught up'`
    ))
    return row.n === tables
  })

/** Makes another server known to `front`. */
export const connect = (front: Server, { name, url }: Server) => {
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
