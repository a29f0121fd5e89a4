/** The error of unreadable Arrow data, and how readers raise it. */
import { Data } from "effect"
import * as Result from "effect/Result"

/** Arrow data that is damaged or of an unsupported kind. `reason` contains no row values. */
export class MalformedArrow extends Data.TaggedError("MalformedArrow")<{ readonly reason: string }> {
  override get message() {
    return `the server's Arrow data cannot be read: ${this.reason}`
  }
}

/** Throws `MalformedArrow`, which `attempt` turns into a `Result`. */
export const reject = (reason: string): never => {
  throw new MalformedArrow({ reason })
}

/**
 * Runs a reader and returns its rejection as a `Result`.
 *
 * A `RangeError` counts as one too: a DataView throws it on a read beyond its end, so no read can leave the message.
 */
export const attempt = <A>(read: () => A): Result.Result<A, MalformedArrow> => {
  try {
    return Result.succeed(read())
  } catch (cause) {
    if (cause instanceof MalformedArrow) return Result.fail(cause)
    if (cause instanceof RangeError) return Result.fail(new MalformedArrow({ reason: "the message is cut short" }))
    throw cause
  }
}
