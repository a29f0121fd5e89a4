import { readFileSync } from "node:fs"
import { ABSENT, digestOf } from "./contentDigest.ts"

/** Reads the files that an evaluation depends on, and tells each with the digest of what was read. */
export class SourceFiles {
  readonly #onFile: (file: string, digest: string) => void

  constructor(onFile: (file: string, digest: string) => void) {
    this.#onFile = onFile
  }

  read(file: string): string {
    const content = readFileSync(file)
    this.#onFile(file, digestOf(content))
    return content.toString("utf8")
  }

  /** Files that would have made a difference if there were any. */
  missing(files: ReadonlyArray<string>): void {
    for (const file of files) this.#onFile(file, ABSENT)
  }
}
