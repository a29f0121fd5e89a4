/**
 * Runs the tests on every supported version of PostgreSQL and of Node: `npm run test:versions -- --help`.
 * Docs: docs/versions.md.
 */
import { Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { nativeDirectory } from "../src/demo/embedded-postgres/binaries.ts"
import { killAll } from "./bench/children.ts"
import { testsThatReach } from "./fast-tests.mjs"
import { nodeDirectory, postgresDirectory } from "./versions/install.ts"
import { NODE, POSTGRES } from "./versions/releases.ts"
import { formatResults, type Result } from "./versions/results.ts"
import { runTests, type Subject } from "./versions/runTests.ts"

const names = (versions: Readonly<Record<string, string>>): string =>
  Object.keys(versions).toSorted((a, b) => Number(a) - Number(b)).join(",")

const HELP = `npm run test:versions -- [options]

  --postgres LIST  major versions of PostgreSQL, of ${names(POSTGRES)}: every test that needs a server, on this Node
  --node LIST      versions of Node, of ${names(NODE)}: every test, on the PostgreSQL of the project
  --only LIST      only test files that have one of these texts in their path
  --json FILE      where the results are written after every version; versions.json by default
  --logs DIR       where the output of the tests goes; a temporary directory by default

Without --postgres and --node it is all of them. The versions are exact ones (scripts/versions/releases.ts), which npm
downloads into a temporary directory; a version takes as long as npm test does. Exit code 1 when a test failed.`

const { values } = parseArgs({
  options: {
    postgres: { type: "string" },
    node: { type: "string" },
    only: { type: "string", default: "" },
    json: { type: "string", default: "versions.json" },
    logs: { type: "string", default: join(tmpdir(), "ampsync-versions", "logs") },
    help: { type: "boolean", short: "h" }
  }
})
if (values.help === true) {
  console.log(HELP)
  process.exit(0)
}

/** The exact versions of a list such as `13,17`; all of them where neither list is given. */
const chosen = (option: "node" | "postgres", versions: Readonly<Record<string, string>>): ReadonlyArray<string> => {
  const isAll = values.node === undefined && values.postgres === undefined
  const list = isAll ? Object.keys(versions) : values[option]?.split(",") ?? []
  return list.map((name) => {
    const version = versions[name]
    if (version !== undefined) return version
    console.error(`--${option} ${name}: one of ${names(versions)}\n\n${HELP}`)
    process.exit(2)
  })
}

const root = join(import.meta.dirname, "..")
const nodes = chosen("node", NODE)
const servers = chosen("postgres", POSTGRES)
const only = values.only.split(",")
const withServer = testsThatReach(root, ["test/support/postgres.ts", "src/demo/embedded-postgres/layer.ts"])
  .filter((file) => only.some((text) => file.includes(text)))
if (servers.length > 0 && withServer.length === 0) {
  console.error(`--only ${values.only}: no test that needs PostgreSQL has that in its path`)
  process.exit(2)
}

process.on("exit", killAll)
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))

const subjects: ReadonlyArray<() => Promise<Subject>> = [
  ...servers.map((version) => async () => ({
    name: `PostgreSQL ${version}`,
    postgresDirectory: await postgresDirectory(version),
    files: withServer
  })),
  ...nodes.map((version) => async () => ({
    name: `Node ${version}`,
    nodeDirectory: await nodeDirectory(version),
    files: values.only === "" ? [] : only
  }))
]

mkdirSync(values.logs, { recursive: true })
const projectPostgres = await Effect.runPromise(nativeDirectory(`${process.platform}-${process.arch}`))
const results: Array<Result> = []
for (const prepare of subjects) {
  const subject = await prepare()
  const log = join(values.logs, `${subject.name.replace(" ", "-")}.log`)
  console.log(`${subject.name}: output in ${log}`)
  results.push(await runTests(subject, { log, projectPostgres, root }))
  writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`)
  console.log(formatResults(results.slice(-1)))
}
console.log(`\n${formatResults(results)}`)
process.exit(results.every(({ failures }) => failures.length === 0) ? 0 : 1)
