import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { median, percentile } from "../../scripts/bench/stats.ts"
import { MAIN } from "../support/ampsyncProcess.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const jiti = join(dirname(createRequire(import.meta.url).resolve("jiti/package.json")), "lib/jiti-cli.mjs")

/** All processes, the database and the rounds of every case; a busy machine is no failure. */
const TIMEOUT_MILLIS = 180_000

type Figures = Readonly<Record<string, number | null>>

interface Case {
  readonly name: string
  readonly rows: number
  readonly rounds: ReadonlyArray<Figures>
  readonly median: Figures
}

interface Report {
  readonly command: string
  readonly machine: Readonly<Record<string, unknown>>
  readonly cases: ReadonlyArray<Case>
}

const bench = (...args: ReadonlyArray<string>) =>
  new Promise<{ code: number | null; output: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [jiti, join(root, "scripts/bench/main.ts"), ...args],
      (_, stdout, stderr) => resolve({ code: child.exitCode, output: stdout + stderr })
    )
  })

/** Differences of tiny runs may be lost in noise, and CPU time in the resolution of its clock. */
const MAY_BE_NULL = /PerMillion$|Mb$/

describe("npm run bench", () => {
  it("--tiny runs every case once and writes ratios and a drawing of each", { timeout: TIMEOUT_MILLIS }, async () => {
    const directory = await mkdtemp(join(tmpdir(), "ampsync-bench-test-"))
    try {
      const [json, plots] = [join(directory, "bench.json"), join(directory, "plots")]
      const { code, output } = await bench("--tiny", "--json", json, "--plot", plots, "--main", MAIN)
      assert.strictEqual(code, 0, output)
      const report = JSON.parse(await readFile(json, "utf8")) as Report
      assert.containsAllKeys(report.machine, ["cpu", "cores", "memoryGb", "node", "postgres"])
      assert.include(report.command, "--tiny")
      assert.deepStrictEqual(report.cases.map(({ name }) => name), [
        "catch-up",
        "three-tables",
        "ranges-1000",
        "ranges-1-block",
        "slope",
        "deferred",
        "tables-1",
        "tables-10",
        "tables-50",
        "delay-0",
        "delay-2.5",
        "delay-12",
        "tip",
        "memory-1",
        "memory-3",
        "memory-40",
        "start",
        "plot-slow-disk",
        "plot-slow-source",
        "plot-wide-rows",
        "plot-errors"
      ])
      for (const { median, name, rounds } of report.cases) {
        assert.lengthOf(rounds, 1, name)
        for (const [figure, value] of Object.entries(median)) {
          if (value === null) {
            assert.isTrue(/^(?:slope|plot-.*)$/.test(name) || MAY_BE_NULL.test(figure), `${name}: ${figure}`)
          } else if (/ratio/i.test(figure)) {
            assert.isTrue(Number.isFinite(value) && value > 0, `${name}: ${figure} ${value}`)
          }
        }
      }
      assert.deepStrictEqual((await readdir(plots)).sort(), [
        "chunk-size-errors.svg",
        "chunk-size-slow-disk.svg",
        "chunk-size-slow-source.svg",
        "chunk-size-wide-rows.svg"
      ])
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  it("rejects unknown options with exit code 2", async () => {
    const { code, output } = await bench("--only", "speed")
    assert.strictEqual(code, 2)
    assert.include(output, "no case \"speed\"")
  })

  it("takes the middle of the rounds, and percentiles by the nearest rank", () => {
    assert.strictEqual(median([3, 1, 2]), 2)
    assert.strictEqual(median([4, 1, 3, 2]), 2.5)
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
    assert.strictEqual(percentile(hundred, 50), 50)
    assert.strictEqual(percentile(hundred, 99), 99)
    assert.strictEqual(percentile([7], 99), 7)
  })
})
