/**
 * Lists the licenses of what users get, `npm run licenses`, and exits 1 where one is not allowed.
 *
 * That is what is in the bundle, and what npm installs with the library.
 */
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundledPackages, notAllowed } from "./licenses.mjs"
import { runtimePackages } from "./runtime-packages.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const bundled = new Set(
  bundledPackages(readFileSync(join(root, "dist", "LICENSES.txt"), "utf8")).map(({ name, version }) =>
    `${name} ${version}`
  )
)
const packages = runtimePackages(root)
for (const { license, name, version } of packages) {
  const place = bundled.has(`${name} ${version}`) ? "in the program" : "with the library"
  console.log(`${`${name} ${version}`.padEnd(40)} ${(license ?? "no license").padEnd(14)} ${place}`)
}
const refused = notAllowed(packages)
for (const each of refused) console.error(`license not allowed (scripts/licenses.mjs): ${each}`)
process.exitCode = refused.length === 0 ? 0 : 1
