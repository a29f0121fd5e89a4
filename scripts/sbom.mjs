/**
 * Writes the software bill of materials of what is in `dist`: `node scripts/sbom.mjs [--format cyclonedx|spdx] [--out FILE]`.
 *
 * It is that of `npm sbom`, of the packages in dist/LICENSES.txt: npm would list what is installed, while the program is one
 * bundle. Two runs write the same bytes. Docs: docs/releasing.md.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { bundledPackages } from "./licenses.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const LICENSES = join(root, "dist", "LICENSES.txt")

const capture = (command, ...args) =>
  execFileSync(command, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    stdio: ["ignore", "pipe", "inherit"]
  })

/** From the lock file: what is installed may be less, such as for another platform, or behind a link. */
const npmSbom = (format) =>
  JSON.parse(capture("npm", "sbom", "--package-lock-only", "--sbom-type=application", `--sbom-format=${format}`))

/** Those of `items` that are in the bundle, each once. Throws where one of the bundle is missing. */
const pick = (items, idOf) => {
  const found = new Map(items.map((item) => [idOf(item), item]))
  const wanted = bundledPackages(readFileSync(LICENSES, "utf8")).map(({ name, version }) => `${name}@${version}`)
  const missing = wanted.filter((id) => !found.has(id))
  if (wanted.length === 0 || missing.length > 0) {
    throw new Error(`package-lock.json lacks packages of ${LICENSES}: ${missing.join(", ") || "it names none"}`)
  }
  return wanted.map((id) => found.get(id))
}

/** Without serial number and time, which are optional. */
const cyclonedx = ({ name }) => {
  const { components, dependencies, metadata, serialNumber: _, ...document } = npmSbom("cyclonedx")
  const bundled = pick(components, (component) => component["bom-ref"])
  const { timestamp: __, ...rest } = metadata
  const refs = new Set([metadata.component["bom-ref"], ...bundled.map((component) => component["bom-ref"])])
  return {
    ...document,
    // npm takes the name of the folder.
    metadata: { ...rest, component: { ...metadata.component, name } },
    // That one is a development dependency of the checkout is no property of what is in the bundle.
    components: bundled.map((component) => ({ ...component, properties: [] })),
    dependencies: dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ dependsOn, ref }) => ({ ref, dependsOn: dependsOn.filter((on) => refs.has(on)) }))
  }
}

/** SPDX requires a time and a name of its own: those of the commit, or SOURCE_DATE_EPOCH, and of the content. */
const createdAt = () => {
  const seconds = process.env["SOURCE_DATE_EPOCH"] ?? capture("git", "log", "-1", "--format=%ct")
  return new Date(Number(seconds) * 1000).toISOString().replace(/\.\d+Z$/, "Z")
}

const spdx = ({ name, version }) => {
  const { creationInfo, packages, relationships, ...document } = npmSbom("spdx")
  const [own, ...others] = packages
  const bundled = [own, ...pick(others, (item) => `${item.name}@${item.versionInfo}`)]
  const ids = new Set([document.SPDXID, ...bundled.map(({ SPDXID }) => SPDXID)])
  const content = {
    packages: bundled,
    relationships: relationships
      .filter(({ relatedSpdxElement, spdxElementId }) => ids.has(spdxElementId) && ids.has(relatedSpdxElement))
      .map((relationship) =>
        relationship.relationshipType === "DESCRIBES"
          ? relationship
          : { ...relationship, relationshipType: "DEPENDENCY_OF" }
      )
  }
  const checksum = createHash("sha256").update(JSON.stringify(content)).digest("hex")
  return {
    ...document,
    name: `${name}@${version}`,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${version}-${checksum}`,
    creationInfo: { ...creationInfo, created: createdAt() },
    ...content
  }
}

/** The first is shipped. The second has a time in it: in `dist` it would make two packages of the same sources differ. */
const FORMATS = {
  cyclonedx: { make: cyclonedx, file: "dist/sbom.cdx.json" },
  spdx: { make: spdx, file: "sbom.spdx.json" }
}

const { values } = parseArgs({
  options: { format: { type: "string", default: "cyclonedx" }, out: { type: "string" } }
})
const format = FORMATS[values.format]
if (format === undefined) {
  console.error(`--format ${values.format}: cyclonedx or spdx`)
  process.exit(2)
}
const document = format.make(JSON.parse(readFileSync(join(root, "package.json"), "utf8")))
const out = values.out ?? join(root, format.file)
writeFileSync(out, `${JSON.stringify(document, undefined, 2)}\n`)
// As the other files of `dist`: the same under every umask.
chmodSync(out, 0o644)
console.error(`wrote ${out}: ${(document.components ?? document.packages.slice(1)).length} packages`)
