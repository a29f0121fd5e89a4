/**
 * What tells one state of some files from another: their content, not when it was written, and where they really are. A link that
 * is turned to another folder changes what is imported from there, even where the file it led to is the same in both.
 */
import { createHash } from "node:crypto"
import { realpathSync } from "node:fs"
import { readFile } from "node:fs/promises"

/** By absolute path. */
export type Digests = ReadonlyMap<string, string>

export const ABSENT = "absent"

const ELSEWHERE = " at "

/** Of `content`, which was read from `file`. */
export const digestOf = (file: string, content: Uint8Array): string => {
  const digest = createHash("sha256").update(content).digest("hex")
  const place = placeOf(file)
  return place === file ? digest : digest + ELSEWHERE + place
}

/** Where a file really is; itself where it is gone by now, which the next look will see. */
const placeOf = (file: string): string => {
  try {
    return realpathSync.native(file)
  } catch {
    return file
  }
}

/** The state of `files` now; one that cannot be read is told by why. */
export const digestsNow = async (files: Iterable<string>): Promise<Digests> =>
  new Map(
    await Promise.all(Array.from(files, async (file) => {
      try {
        return [file, digestOf(file, await readFile(file))] as const
      } catch (cause) {
        const code = (cause as NodeJS.ErrnoException).code
        return [file, code === "ENOENT" || code === "ENOTDIR" ? ABSENT : String(code)] as const
      }
    }))
  )

export const sameDigests = (a: Digests, b: Digests): boolean =>
  a.size === b.size && [...a].every(([file, digest]) => b.get(file) === digest)

/** Whether the same was read, wherever it was. */
export const sameContents = (a: Digests, b: Digests): boolean => contents(a) === contents(b)

const contents = (digests: Digests): string =>
  [...new Set([...digests.values()].map((digest) => digest.split(ELSEWHERE, 1)[0]))].sort().join()
