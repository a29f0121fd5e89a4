import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { typesDoc } from "../../scripts/types-doc.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const document = join(root, "docs/types.md")
const jiti = join(dirname(createRequire(import.meta.url).resolve("jiti/package.json")), "lib/jiti-cli.mjs")

/** Exit code and words of the script's check of a file. */
const check = (...path: ReadonlyArray<string>) =>
  new Promise<{ code: number | null; stderr: string }>((resolve) => {
    const args = [jiti, join(root, "scripts/generate-types-doc.ts"), "--check", ...path]
    const child = execFile(process.execPath, args, (_, __, stderr) => resolve({ code: child.exitCode, stderr }))
  })

describe("docs/types.md", () => {
  it("is what the code says", async () => {
    assert.strictEqual(await readFile(document, "utf8"), typesDoc)
    assert.deepStrictEqual(await check(), { code: 0, stderr: "" })
  })

  it("is told to be out of date when it says anything else, or is not there", async () => {
    const directory = await mkdtemp(join(tmpdir(), "ampsync-types-"))
    try {
      const other = join(directory, "types.md")
      const missing = await check(other)
      assert.strictEqual(missing.code, 1)
      assert.include(missing.stderr, "is not what the code says")
      await writeFile(other, typesDoc.replace("smallint", "bigint"))
      assert.strictEqual((await check(other)).code, 1)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
