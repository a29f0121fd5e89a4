/**
 * Bundles the script of the status page, `src/layers/health-api/page/browser`, into `script.ts` beside that folder:
 * `npm run page [-- --check]`.
 *
 * With `--check` nothing is written; exits 1 when `script.ts` is not what the sources come to.
 */
import { build } from "esbuild"
import { readFile, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const folder = "src/layers/health-api/page"
const target = join(root, folder, "script.ts")

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: [`${folder}/browser/main.ts`],
  bundle: true,
  minify: true,
  write: false,
  format: "iife",
  platform: "browser",
  target: "es2022",
  legalComments: "none",
  logLevel: "warning"
})
const script = outputFiles[0].text.trim()

const text =
  `/** The script of the status page: ${script.length} characters that \`npm run page\` made of \`browser/main.ts\`. */
export const script =
  ${JSON.stringify(script)}
`

if (!process.argv.includes("--check")) await writeFile(target, text)
else if (await readFile(target, "utf8") !== text) {
  console.error(`${target} is not what ${folder}/browser/main.ts comes to: run "npm run page"`)
  process.exitCode = 1
}
