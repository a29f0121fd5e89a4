import { Data } from "effect"
import * as Result from "effect/Result"

/** Arrow data that is damaged, or of a kind this program does not read. `reason` holds no row values. */
export class MalformedArrow extends Data.TaggedError("MalformedArrow")<{ readonly reason: string }> {
  override get message() {
    return `the server's Arrow data cannot be read: ${this.reason}`
  }
}

/** Leaves the reading of a message; `attempt` turns it into a `Result`. */
export const refuse = (reason: string): never => {
  throw new MalformedArrow({ reason })
}

/**
 * Runs a reader and returns what it refused as a value.
 *
 * A `RangeError` is a refusal too: it is how a DataView answers a read beyond its end, so no read can leave the message.
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
