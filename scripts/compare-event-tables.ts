/**
 * Compares `eventTables` with that of the published package, which it installs into a temporary directory: the network is needed.
 *
 * `npx jiti scripts/compare-event-tables.ts` prints what differs and ends with exit code 1 where anything does; with
 * `--write` it records what the package gives in `test/fixtures/event-tables/published.json`.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { type Abi, eventTables } from "../src/domain/manifest/eventTables.ts"
import { streamingQuery } from "../src/domain/sql/streamingQuery.ts"

const PACKAGE = "@edgeandnode/amp@0.0.51"
const FIXTURE = fileURLToPath(new URL("../test/fixtures/event-tables/published.json", import.meta.url))
const SOURCE = "anvil"

type Tables = Readonly<Record<string, { readonly sql: string }>>

const { abi } = JSON.parse(
  readFileSync(new URL("../test/fixtures/event-tables/abi.json", import.meta.url), "utf8")
) as {
  readonly abi: Abi
}
const directory = mkdtempSync(join(tmpdir(), "ampsync-event-tables-"))
try {
  const npm = (...args: ReadonlyArray<string>) =>
    execFileSync("npm", args, { cwd: directory, stdio: ["ignore", "ignore", "inherit"] })
  npm("init", "--yes")
  npm("install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE)
  const entry = join(directory, "node_modules", "@edgeandnode", "amp", "dist", "index.js")
  const published = await import(pathToFileURL(entry).href) as {
    readonly eventTables: (abi: Abi, source: string) => Tables
  }
  const theirs = published.eventTables(abi, SOURCE)
  const ours: Tables = eventTables(abi, SOURCE)
  const text = (tables: Tables, name: string) => {
    const sql = tables[name]?.sql
    const query = sql === undefined ? undefined : streamingQuery(sql)
    return query?._tag === "Success" ? query.success.normalized : String(query?.failure.reason ?? "no such table")
  }
  const differing = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].filter((name) =>
    text(theirs, name) !== text(ours, name)
  )
  for (const name of differing) {
    console.log(`${name}\n  ${PACKAGE}: ${text(theirs, name)}\n  ampsync: ${text(ours, name)}`)
  }
  console.log(`${Object.keys(theirs).length} tables of ${PACKAGE} compared, ${differing.length} differ`)
  if (process.argv.includes("--write")) {
    writeFileSync(FIXTURE, `${JSON.stringify({ package: PACKAGE, source: SOURCE, tables: theirs }, undefined, 2)}\n`)
  }
  process.exitCode = differing.length === 0 ? 0 : 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}
