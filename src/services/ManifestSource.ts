/**
 * Gives the manifest that the config file describes now.
 *
 * Owns reading, evaluating and validating the file; it does not know who uses the result. Invariant I7: an error says where
 * and why, never what values the file holds.
 */
import { Context, type Effect, Schema } from "effect"
import type { Manifest } from "../domain/Manifest.ts"

export class ManifestError extends Schema.TaggedError<ManifestError>()("ManifestError", {
  /** How far it came: the file could not be read, its code failed, or its content is not a manifest. */
  operation: Schema.Literals(["read", "evaluate", "validate"]),
  /** Absolute path of the config file. */
  path: Schema.String,
  /** The file the line belongs to: the config file, or a module it imports. */
  file: Schema.UndefinedOr(Schema.String),
  /** Counted from 1. */
  line: Schema.UndefinedOr(Schema.Int),
  /** At least one; each stands alone. */
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    const line = this.line === undefined ? "" : `:${this.line}`
    const place = this.file === undefined || this.file === this.path
      ? `${this.path}${line}`
      : `${this.path} (in ${this.file}${line})`
    const heading = `could not ${this.operation} the config file ${place}`
    return this.problems.length === 1
      ? `${heading}: ${this.problems[0]}`
      : [`${heading}:`, ...this.problems.map((problem) => `  - ${problem}`)].join("\n")
  }
}

export class ManifestSource extends Context.Service<ManifestSource, {
  /** Reads and evaluates the file anew, with every module it imports from beside it. */
  readonly load: Effect.Effect<Manifest, ManifestError>
}>()("ampsync/services/ManifestSource") {}
