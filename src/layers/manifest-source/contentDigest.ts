/** Digests of files: a change is one of their content, not of the time it was written. */
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"

/** By absolute path. */
export type Digests = ReadonlyMap<string, string>

/** In place of the digest of a file that does not exist. */
export const ABSENT = "absent"

export const digestOf = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex")

/** Digests of `files` as they are now; an error code in place of the digest of one that cannot be read. */
export const digestsNow = async (files: Iterable<string>): Promise<Digests> =>
  new Map(
    await Promise.all(Array.from(files, async (file) => {
      try {
        return [file, digestOf(await readFile(file))] as const
      } catch (cause) {
        const code = (cause as NodeJS.ErrnoException).code
        return [file, code === "ENOENT" || code === "ENOTDIR" ? ABSENT : String(code)] as const
      }
    }))
  )

export const sameDigests = (a: Digests, b: Digests): boolean =>
  a.size === b.size && [...a].every(([file, digest]) => b.get(file) === digest)
