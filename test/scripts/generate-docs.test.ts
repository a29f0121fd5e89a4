import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { configurationDoc } from "../../scripts/configuration-doc.ts"
import { metricsDoc } from "../../scripts/metrics-doc.ts"
import { typesDoc } from "../../scripts/types-doc.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const jiti = join(dirname(createRequire(import.meta.url).resolve("jiti/package.json")), "lib/jiti-cli.mjs")

/** Exit code and standard error of the script's check of a directory. */
const check = (...directory: ReadonlyArray<string>) =>
  new Promise<{ code: number | null; stderr: string }>((resolve) => {
    const args = [jiti, join(root, "scripts/generate-docs.ts"), "--check", ...directory]
    const child = execFile(process.execPath, args, (_, __, stderr) => resolve({ code: child.exitCode, stderr }))
  })

describe("the generated pages", () => {
  it.each([["configuration.md", configurationDoc], ["metrics.md", metricsDoc], ["types.md", typesDoc]])(
    "docs/%s is what the code generates",
    async (name, text) => {
      assert.strictEqual(await readFile(join(root, "docs", name), "utf8"), text)
    }
  )

  it("are checked by the script, which names those that differ or are missing", async () => {
    assert.deepStrictEqual(await check(), { code: 0, stderr: "" })
    const directory = await mkdtemp(join(tmpdir(), "ampsync-docs-"))
    try {
      await cp(join(root, "docs/configuration.md"), join(directory, "configuration.md"))
      const missing = await check(directory)
      assert.strictEqual(missing.code, 1)
      assert.include(missing.stderr, "types.md differs from what the code gives; run: npm run docs")
      assert.notInclude(missing.stderr, "configuration.md")
      await writeFile(join(directory, "types.md"), typesDoc.replace("smallint", "bigint"))
      assert.strictEqual((await check(directory)).code, 1)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
