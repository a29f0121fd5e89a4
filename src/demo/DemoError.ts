import { Schema } from "effect"

/** A table could not be followed, or differs from the chain. */
export class DemoError extends Schema.TaggedError<DemoError>()("DemoError", {
  operation: Schema.Literals(["follow", "compare"]),
  /** A whole sentence. */
  reason: Schema.String
}) {
  override get message() {
    return `demo: ${this.reason}`
  }
}
