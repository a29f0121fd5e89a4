/**
 * Writes docs/types.md: `npx jiti scripts/generate-types-doc.ts [--check] [path]`.
 *
 * With `--check` it only says whether the file is current, and exits 1 where it is not.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { typesDoc } from "./types-doc.ts"

const { positionals: [given], values } = parseArgs({ allowPositionals: true, options: { check: { type: "boolean" } } })
const path = given === undefined ? fileURLToPath(new URL("../docs/types.md", import.meta.url)) : resolve(given)

const current = (): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

if (values.check === true) {
  if (current() !== typesDoc) {
    console.error(`${path} is not what the code says; run: npx jiti scripts/generate-types-doc.ts`)
    process.exitCode = 1
  }
} else {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, typesDoc)
}
