/**
 * Loads the manifest that the config file, or the settings in its place, describe now.
 *
 * Owns reading, evaluating, validating and watching the file; it does not know who uses the result. Invariant I7: an error
 * has a place and a reason, never a value of the file.
 */
import { Context, type Effect, type Result, Schema, type Stream } from "effect"
import type { Manifest } from "../domain/manifest/Manifest.ts"
import type { AdminApiError } from "./AdminApi.ts"

/** The config file, or the settings in its place, describe no dataset. */
export class ManifestError extends Schema.TaggedError<ManifestError>()("ManifestError", {
  /**
   * How far it came: the file could not be read, its code failed, or its content is not a manifest; without a file, the tables
   * that the settings name could not be selected.
   */
  operation: Schema.Literals(["read", "evaluate", "validate", "select"]),
  /** Absolute path of the config file, or the reference of the dataset that the settings name in its place. */
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
    const heading = this.operation === "select"
      ? `could not use the tables of dataset ${this.path} that TABLES names`
      : `could not ${this.operation} the config file ${place}`
    return this.problems.length === 1
      ? `${heading}: ${this.problems[0]}`
      : [`${heading}:`, ...this.problems.map((problem) => `  - ${problem}`)].join("\n")
  }
}

/** Settings that name a dataset in place of a file need the server's list of its tables. */
export type LoadError = ManifestError | AdminApiError

export class ManifestSource extends Context.Service<ManifestSource, {
  /**
   * Loads the file as it is now, with every module of its own that it imports; it is not evaluated again while none of them
   * has changed since the start. Code has ten seconds to finish.
   */
  readonly load: Effect.Effect<Manifest, LoadError>
  /**
   * Loads the file each time that its content, or that of a file it imports, differs from what was loaded last. A change is
   * debounced for half a second, however the file was replaced; one that is reverted by then is none. A file that is gone is
   * reported once, and so is its return. Never ends; for one consumer.
   */
  readonly changes: Stream.Stream<Result.Result<Manifest, LoadError>>
}>()("ampsync/services/ManifestSource") {}
