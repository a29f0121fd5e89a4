/** The files that an evaluation reads, with their digests. */
import { readFileSync } from "node:fs"
import { ABSENT, digestOf } from "./contentDigest.ts"

/** Reads the files that an evaluation depends on, and reports each with the digest of its content. */
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

  /** Reports files that do not exist, but would change the result if they did. */
  missing(files: ReadonlyArray<string>): void {
    for (const file of files) this.#onFile(file, ABSENT)
  }
}
