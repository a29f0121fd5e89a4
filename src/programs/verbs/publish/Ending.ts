/** How a publication ends without one. */
import { Schema } from "effect"

/** Nothing was changed, or it is not known; `reasons` name the causes and the cures. */
export class NotPublished extends Schema.TaggedError<NotPublished>()("NotPublished", {
  exitCode: Schema.Literals([1, 2, 3, 4]),
  reasons: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.reasons.length === 1
      ? this.reasons[0]!
      : `nothing was changed:\n${this.reasons.map((reason) => `  - ${reason}`).join("\n")}`
  }
  get outcome() {
    return this.exitCode === 4 ? "rejected" : this.exitCode === 3 ? "not ready" : "failed"
  }
}

export const notPublished = (exitCode: NotPublished["exitCode"], ...reasons: ReadonlyArray<string>) =>
  new NotPublished({ exitCode, reasons })

const unchanged = "nothing was changed: "

/** A single reason, which begins with what did not happen. */
export const refused = (exitCode: NotPublished["exitCode"], reason: string) =>
  notPublished(exitCode, `${unchanged}${reason}`)
