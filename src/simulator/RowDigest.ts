import { createHash } from "node:crypto"
import { canonicalJson } from "./canonicalJson.ts"

/** Counts and hashes rows of text, so that two sets of rows can be compared without storing either. */
export class RowDigest {
  private readonly hash = createHash("sha256")
  private readonly isJson: ReadonlyArray<boolean>
  private count = 0

  /** `types` as PostgreSQL's `format_type` prints them: `jsonb` is compared in its canonical form. */
  constructor(types: ReadonlyArray<string>) {
    this.isJson = types.map((type) => type === "jsonb")
  }

  add(row: ReadonlyArray<string | null>): void {
    const values = row.map((value, i) => value !== null && this.isJson[i] === true ? canonicalJson(value) : value)
    this.hash.update(`${JSON.stringify(values)}\n`)
    this.count += 1
  }

  get rows(): number {
    return this.count
  }

  /** SHA-256 of all rows so far, in the order they were added; ends the digest. */
  finish(): string {
    return this.hash.digest("hex")
  }
}
