/**
 * The packages that come with this one when a host installs it: its dependencies and peers, and theirs, as the lock file has them.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** Where Node finds `name` from the package at `path`: in the nearest `node_modules`. */
const placeOf = (packages, path, name) => {
  for (let folder = path;; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    const place = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`
    if (packages[place] !== undefined) return place
    if (folder === "") return undefined
  }
}

/** What a package needs, or uses where it is there; an optional peer is not installed with it. */
const neededBy = ({ dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta = {} }) => [
  ...Object.keys({ ...dependencies, ...optionalDependencies }),
  ...Object.keys(peerDependencies ?? {}).filter((name) => peerDependenciesMeta[name]?.optional !== true)
]

/**
 * In order of their names; `license` is the SPDX expression of the package, undefined where it has none.
 *
 * @param {string} root
 * @returns {Array<{ name: string, version: string, license: string | undefined }>}
 */
export const runtimePackages = (root) => {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"))
  const reached = new Set([""])
  for (const path of reached) {
    for (const name of neededBy(packages[path])) {
      const place = placeOf(packages, path, name)
      if (place === undefined && packages[path].optionalDependencies?.[name] !== undefined) continue
      if (place === undefined) {
        throw new Error(`package-lock.json has no ${name}, which ${path || "package.json"} needs`)
      }
      reached.add(place)
    }
  }
  reached.delete("")
  return [...reached]
    .map((path) => ({
      name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
      version: packages[path].version,
      license: packages[path].license
    }))
    .toSorted((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1))
}
