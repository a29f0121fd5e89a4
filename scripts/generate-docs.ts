/**
 * Writes the pages of docs that come from the code: `npx jiti scripts/generate-docs.ts [--check] [directory]`.
 *
 * With `--check` it only reports which files are not current, and exits 1 where there are any.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { configurationDoc } from "./configuration-doc.ts"
import { metricsDoc } from "./metrics-doc.ts"
import { typesDoc } from "./types-doc.ts"

const generated = { "configuration.md": configurationDoc, "metrics.md": metricsDoc, "types.md": typesDoc }

const { positionals: [given], values } = parseArgs({ allowPositionals: true, options: { check: { type: "boolean" } } })
const directory = given === undefined ? fileURLToPath(new URL("../docs", import.meta.url)) : resolve(given)

const current = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

for (const [name, text] of Object.entries(generated)) {
  const path = join(directory, name)
  if (values.check === true) {
    if (current(path) === text) continue
    console.error(`${path} differs from what the code gives; run: npm run docs`)
    process.exitCode = 1
  } else {
    mkdirSync(directory, { recursive: true })
    writeFileSync(path, text)
  }
}
