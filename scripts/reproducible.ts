/**
 * Builds and packs the package twice, under conditions that differ, and compares every byte: `npm run reproducible -- --help`.
 * Docs: docs/releasing.md.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { parseArgs } from "node:util"
import { type Conditions, copyCheckout, packed } from "./reproducible/builds.ts"
import { differences, sha256, sizeOf } from "./reproducible/compare.ts"

const HELP = `npm run reproducible -- [options]

  --install   run npm ci in both folders, with their own node_modules, instead of using those of this one
  --keep DIR  leave the tarball in DIR

The files of this working tree are copied into two folders that differ in path, time of change, order of creation, umask, time
zone, locale and home directory. Exit code 1 when dist or the tarball of npm pack is not the same in both.`

const { values } = parseArgs({
  options: { install: { type: "boolean" }, keep: { type: "string" }, help: { type: "boolean", short: "h" } }
})
if (values.help === true) {
  console.log(HELP)
  process.exit(0)
}

// A folder that cannot be made ends it before the work.
if (values.keep !== undefined) mkdirSync(values.keep, { recursive: true })

const root = join(import.meta.dirname, "..")
const home = mkdtempSync(join(tmpdir(), "ampsync-reproducible-"))
process.on("exit", () => rmSync(home, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))

const conditions: readonly [Conditions, Conditions] = [
  { folder: join(home, "a"), umask: "022", timeZone: "UTC", locale: "C", changed: new Date(), isReversed: false },
  {
    folder: join(home, "another place", "with a longer path"),
    umask: "077",
    timeZone: "Pacific/Kiritimati",
    // Case and order of letters are not those of English.
    locale: "tr_TR.UTF-8",
    changed: new Date("2001-02-03T04:05:06Z"),
    isReversed: true
  }
]

const tarballs: Array<string> = []
for (const each of conditions) {
  await copyCheckout(root, each, { install: values.install === true })
  tarballs.push(await packed(each))
}
const [first, second] = conditions.map(({ folder }) => folder) as [string, string]
const found = [
  ...differences(join(first, "dist"), join(second, "dist")).map((difference) => `dist/${difference}`),
  ...(sha256(tarballs[0]!) === sha256(tarballs[1]!) ? [] : ["the tarballs of npm pack differ"])
]
for (const difference of found) console.error(difference)
if (found.length > 0) process.exit(1)
if (values.keep !== undefined) copyFileSync(tarballs[0]!, join(values.keep, basename(tarballs[0]!)))
console.log(
  `two builds are equal: ${sizeOf(join(first, "dist"))} files in dist; sha256 of the tarball ${sha256(tarballs[0]!)}`
)
