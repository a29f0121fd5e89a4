/** The floor: the product's very rows, by plain COPY BINARY into tables of the same shape. */
import { once } from "node:events"
import { createWriteStream } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { to as copyTo } from "pg-copy-streams"
import type { Bench } from "./bench.ts"
import { start } from "./children.ts"
import { now } from "./clock.ts"
import type { Expected } from "./flight/main.ts"
import { childrenCpuSeconds } from "./proc.ts"
import { checkRows, SCHEMA } from "./product.ts"

const FLOOR_SCHEMA = "floor"

/** Files with the rows of some tables, in the order of their primary keys. */
export interface DumpedRows {
  readonly files: ReadonlyArray<{ readonly table: string; readonly file: string }>
  readonly remove: () => Promise<void>
}

const keyOf = async (bench: Bench, table: string): Promise<string> => {
  const { rows } = await bench.postgres.monitor.query<{ name: string }>(
    `SELECT quote_ident(a.attname) AS name FROM pg_index i
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
     WHERE i.indrelid = $1::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)`,
    [`${SCHEMA}."${table}"`]
  )
  if (rows.length === 0) throw new Error(`table ${table} has no primary key`)
  return rows.map(({ name }) => name).join(", ")
}

/** Writes what the product's last run has left in the database to files. */
export const dumpRows = async (bench: Bench, expected: ReadonlyArray<Expected>): Promise<DumpedRows> => {
  const files: Array<{ readonly table: string; readonly file: string }> = []
  for (const { rows, table } of expected) {
    const file = join(bench.directory, `${table}-${rows}.pgcopy`)
    const ordered = `SELECT * FROM ${SCHEMA}."${table}" ORDER BY ${await keyOf(bench, table)}`
    const source = bench.postgres.monitor.query(copyTo(`COPY (${ordered}) TO STDOUT (FORMAT BINARY)`))
    await pipeline(source, createWriteStream(file))
    files.push({ table, file })
  }
  return {
    files,
    remove: async () => {
      for (const { file } of files) await rm(file, { force: true })
    }
  }
}

/** Statements that give a table of the floor the indexes that the product's has. */
const indexesOf = async (bench: Bench, table: string): Promise<ReadonlyArray<string>> => {
  const { rows } = await bench.postgres.monitor.query<{ key: string | null; definition: string }>(
    `SELECT pg_get_constraintdef(con.oid) AS key, pg_get_indexdef(i.indexrelid) AS definition
     FROM pg_index i LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid WHERE i.indrelid = $1::regclass`,
    [`${SCHEMA}."${table}"`]
  )
  const name = `${FLOOR_SCHEMA}."${table}"`
  return rows.map(({ definition, key }) =>
    key === null
      ? `CREATE INDEX ON ${name} ${definition.slice(definition.indexOf("USING"))}`
      : `ALTER TABLE ${name} ADD ${key}`
  )
}

export interface FloorFigures {
  readonly wallMillis: number
  readonly backendCpuSeconds: number | undefined
}

/** Copies all tables at once, a process each, and counts their rows. */
export const runFloor = async (
  bench: Bench,
  expected: ReadonlyArray<Expected>,
  { files }: DumpedRows,
  databasePort = bench.postgres.port,
  /** `later`: the tables get their keys and indexes once all rows are there. */
  keys: "now" | "later" = "now"
): Promise<FloorFigures> => {
  const { monitor, monitorPid, postmasterPid } = bench.postgres
  await monitor.query(`DROP SCHEMA IF EXISTS ${FLOOR_SCHEMA} CASCADE`)
  await monitor.query(`CREATE SCHEMA ${FLOOR_SCHEMA}`)
  for (const { table } of files) {
    await monitor.query(
      `CREATE TABLE ${FLOOR_SCHEMA}."${table}" (LIKE ${SCHEMA}."${table}" INCLUDING ALL${
        keys === "later" ? " EXCLUDING INDEXES" : ""
      })`
    )
  }
  const builds = keys === "now" ? [] : await Promise.all(files.map(({ table }) => indexesOf(bench, table)))
  const url = bench.postgres.urlThrough(databasePort)
  const copies = files.map(({ file, table }) => ({ file, into: `${FLOOR_SCHEMA}."${table}"` }))
  const copiers = copies.map((_, index) => copierOf(bench, index))
  if (bench.options.floor === "copy" || builds.length > 0) {
    await Promise.all(copiers.map((copier) => copier.call("connect", url)))
  }
  await monitor.query("CHECKPOINT")
  const backends = () => childrenCpuSeconds(postmasterPid, monitorPid)
  const [before, began] = [backends(), now()]
  await Promise.all(
    copies.map((copy, index) =>
      bench.options.floor === "psql" ? psqlCopy(url, copy.file, copy.into) : copiers[index]!.call("copy", copy)
    )
  )
  await Promise.all(builds.map(async (statements, index) => {
    for (const statement of statements) await copiers[index]!.call("run", statement)
  }))
  const wallMillis = now() - began
  const after = backends()
  await checkRows(bench, FLOOR_SCHEMA, expected)
  await monitor.query(`DROP SCHEMA ${FLOOR_SCHEMA} CASCADE`)
  return { wallMillis, backendCpuSeconds: after === undefined || before === undefined ? undefined : after - before }
}

const copierOf = (bench: Bench, index: number) => {
  const copier = bench.copiers[index]
  if (copier === undefined) throw new Error(`the floor copies at most ${bench.copiers.length} tables at once`)
  return copier
}

const psqlCopy = async (url: string, file: string, into: string): Promise<void> => {
  const target = new URL(url)
  const password = decodeURIComponent(target.password)
  // Arguments of a process can be read by everybody.
  target.password = ""
  const command = `\\copy ${into} from '${file}' (format binary)`
  const child = start("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", target.href, "-c", command], {
    env: { ...process.env, PGPASSWORD: password },
    stdio: "inherit"
  })
  const [code] = await once(child, "exit") as [number | null]
  if (code !== 0) throw new Error(`psql ended with exit code ${code}`)
}
