/** Parses the `app_metadata` of Flight messages. */
import { Data, Result } from "effect"
import type { BlockRange } from "./BlockRange.ts"

/**
 * What the `app_metadata` of a Flight message declares about its rows, in one shape for both dialects.
 *
 * Source: the JSON `{"ranges":[{"numbers":{"start","end"},"network","hash","prev_hash","timestamp"}],"ranges_complete"}`.
 */
export interface StreamMetadata {
  readonly ranges: ReadonlyArray<BlockRange>
  /** `ranges_complete`. nozzle servers never send it, so its presence distinguishes the dialects on the wire. */
  readonly complete: boolean | undefined
}

/** `app_metadata` that cannot be parsed. */
export class MalformedMetadata extends Data.TaggedError("MalformedMetadata")<{ readonly reason: string }> {
  override get message() {
    return `the server's app_metadata is malformed: ${this.reason}`
  }
}

/** Parses `app_metadata`; undefined for empty bytes, as of schema and dictionary messages. */
export const parseStreamMetadata = (
  bytes: Uint8Array
): Result.Result<StreamMetadata | undefined, MalformedMetadata> => {
  if (bytes.length === 0) return Result.succeed(undefined)
  return Result.try({
    try: () => metadataOf(JSON.parse(utf8.decode(bytes))),
    catch: (cause) =>
      cause instanceof MalformedMetadata ? cause : new MalformedMetadata({ reason: "it is not JSON in UTF-8" })
  })
}

const utf8 = new TextDecoder("utf-8", { fatal: true })
const HASH = /^(?:0x)?[0-9a-f]{64}$/
const ZERO_HASH = `0x${"0".repeat(64)}`

const metadataOf = (json: unknown): StreamMetadata => {
  const { ranges, ranges_complete: complete } = record(json, "the document")
  if (!Array.isArray(ranges)) throw malformed("\"ranges\" is not an array")
  if (complete !== undefined && typeof complete !== "boolean") throw malformed("\"ranges_complete\" is not a boolean")
  return { ranges: ranges.map(rangeOf), complete }
}

const rangeOf = (json: unknown): BlockRange => {
  const range = record(json, "a range")
  const numbers = record(range["numbers"], "\"numbers\"")
  const network = range["network"]
  if (typeof network !== "string" || network === "") throw malformed("\"network\" is not a name")
  const hash = hashOf(range["hash"], "hash")
  if (hash === undefined) throw malformed("\"hash\" is missing")
  const start = blockOf(numbers["start"], "start")
  const end = blockOf(numbers["end"], "end")
  if (end < start) throw malformed(`the range ${start}..${end} ends before it starts`)
  const prevHash = hashOf(range["prev_hash"], "prev_hash")
  const timestamp = range["timestamp"]
  return {
    network,
    start,
    end,
    hash,
    prevHash: prevHash === ZERO_HASH ? undefined : prevHash,
    // A number beyond PostgreSQL's year 294276 is not a time in seconds.
    timestamp: typeof timestamp === "number" && Number.isSafeInteger(timestamp) && Math.abs(timestamp) < 9e12
      ? timestamp
      : undefined
  }
}

const record = (json: unknown, what: string): Record<string, unknown> => {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed(`${what} is not an object`)
  return json as Record<string, unknown>
}

const blockOf = (json: unknown, name: string): bigint => {
  // Numbers past 2^53 were rounded by JSON.parse already: reject them rather than follow a wrong block.
  if (typeof json !== "number" || !Number.isSafeInteger(json) || json < 0) {
    throw malformed(`"${name}" is not a block number`)
  }
  return BigInt(json)
}

const hashOf = (json: unknown, name: string): string | undefined => {
  if (json === undefined || json === null) return undefined
  const text = typeof json === "string" ? json.toLowerCase() : ""
  if (!HASH.test(text)) throw malformed(`"${name}" is not a 32-byte hash in hex`)
  return text.startsWith("0x") ? text : `0x${text}`
}

const malformed = (reason: string) => new MalformedMetadata({ reason })
