/**
 * Compiles `src/domain/postgres/encode/tuples.wat` into `tuplesModule.ts` beside it: `npm run wasm [-- --check]`.
 *
 * With `--check` nothing is written; exits 1 when the module is not what the text compiles to.
 */
import { readFile, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import wabt from "wabt"

const folder = join(dirname(fileURLToPath(import.meta.url)), "../src/domain/postgres/encode")
const source = "tuples.wat"
const target = join(folder, "tuplesModule.ts")

const module = (await wabt()).parseWat(source, await readFile(join(folder, source), "utf8"))
module.validate()
const { buffer } = module.toBinary({ write_debug_names: false })

const text =
  `/** The WebAssembly module that \`npm run wasm\` compiled from \`${source}\`: ${buffer.length} bytes as base64. */
export const tuplesModule =
  "${Buffer.from(buffer).toString("base64")}"
`

if (!process.argv.includes("--check")) await writeFile(target, text)
else if (await readFile(target, "utf8") !== text) {
  console.error(`${target} is not what ${source} compiles to: run "npm run wasm"`)
  process.exitCode = 1
}
