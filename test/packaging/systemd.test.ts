/** deploy/systemd, and what docs/deployment.md has for it. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string): string => readFileSync(join(root, file), "utf8")
const unit = read("deploy/systemd/ampsync.service")

const analyzerUnavailable = spawnSync("systemd-analyze", ["--version"]).status === 0
  ? undefined
  : "systemd-analyze is not installed"

describe("the unit of systemd", () => {
  it("takes a Node of /usr/local before that of the system", () => {
    assert.match(unit, /^ExecStart=node \/opt\/ampsync\/dist\/main\.js$/m)
  })

  it("has a page with the oldest Node that package.json allows, and the Node of the image to install", () => {
    const { engines } = JSON.parse(read("package.json")) as { readonly engines: { readonly node: string } }
    const oldest = /^>=(\d+\.\d+)\.0$/.exec(engines.node)![1]!
    const image = /node:(\d+\.\d+\.\d+)-/.exec(read("Dockerfile"))![1]!
    const page = read("docs/deployment.md")
    for (const text of [page.slice(page.indexOf("## systemd")), unit]) assert.include(text, `Node ${oldest} or newer`)
    const named = [...page.matchAll(/v(\d+\.\d+\.\d+)/g)].map(([, version]) => version!)
    assert.deepStrictEqual([...new Set(named)], [image])
  })

  it.skipIf(analyzerUnavailable !== undefined)(
    `has nothing that systemd-analyze reports${
      analyzerUnavailable === undefined ? "" : ` (skipped: ${analyzerUnavailable})`
    }`,
    () => {
      const directory = mkdtempSync(join(tmpdir(), "ampsync-test-"))
      try {
        const file = join(directory, "ampsync.service")
        // This Node may be somewhere else, and a program that is missing is reported too.
        writeFileSync(file, unit.replace("ExecStart=node ", `ExecStart=${process.execPath} `))
        const { stderr, stdout } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8", timeout: 60_000 })
        const reports = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("ampsync.service"))
        assert.deepStrictEqual(reports, [])
      } finally {
        rmSync(directory, { recursive: true, force: true })
      }
    }
  )
})
