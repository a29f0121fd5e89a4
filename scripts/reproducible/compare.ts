/** Compares two folders byte by byte. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"

export const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex")

/** Path -> mode and checksum of each file below `folder`. */
const filesBelow = (folder: string): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(folder.length + 1), `${(statSync(path).mode & 0o777).toString(8)} ${sha256(path)}`])
  )

export const sizeOf = (folder: string): number => filesBelow(folder).size

/** One line for each file that only one of the folders has, or that differs in its bytes or mode, in order of their paths. */
export const differences = (first: string, second: string): ReadonlyArray<string> => {
  const [a, b] = [filesBelow(first), filesBelow(second)]
  return [...new Set([...a.keys(), ...b.keys()])].toSorted().flatMap((path) => {
    const [inA, inB] = [a.get(path), b.get(path)]
    if (inA === inB) return []
    if (inA === undefined || inB === undefined) return [`${path} is in one of the two only`]
    return [inA.split(" ")[1] === inB.split(" ")[1] ? `${path} has different modes` : `${path} has different bytes`]
  })
}
