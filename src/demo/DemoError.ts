import { Schema } from "effect"

/** The demo could not show what it is there to show. */
export class DemoError extends Schema.TaggedError<DemoError>()("DemoError", {
  operation: Schema.Literals(["follow", "compare"]),
  /** A whole sentence. */
  reason: Schema.String
}) {
  override get message() {
    return `demo: ${this.reason}`
  }
}
