/**
 * Gives the manifest that the config file, or the settings in its place, describe now.
 *
 * Owns reading, evaluating, validating and watching the file; it does not know who uses the result. Invariant I7: an error
 * says where and why, never what values the file holds.
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

/** Settings that name a dataset in place of a file need the server's word on how its tables are called. */
export type LoadError = ManifestError | AdminApiError

export class ManifestSource extends Context.Service<ManifestSource, {
  /**
   * What the file comes to now, with every module it imports from beside it; it is not evaluated again while none of them has
   * changed since the start. Code has ten seconds to come to an end.
   */
  readonly load: Effect.Effect<Manifest, LoadError>
  /**
   * What the file comes to, each time that its content or that of a file it imports is not what was loaded last. A change is
   * taken when it has rested for half a second, in whichever way the file was replaced; one that is taken back by then is
   * none. A file that is gone is said once, and so is its return. Never ends; for one consumer.
   */
  readonly changes: Stream.Stream<Result.Result<Manifest, LoadError>>
}>()("ampsync/services/ManifestSource") {}
