/** The ticket of a query, and the headers that it is made from. */
import type { StreamPosition } from "./resume.ts"
import type { Dialect } from "./tables.ts"

/** The ticket, in which GetFlightInfo encodes everything for DoGet: headers of DoGet have no effect. */
export interface TicketContent {
  readonly sql: string
  readonly streaming: boolean
  /** Last received block of each network. */
  readonly cursor: Readonly<Record<string, StreamPosition>> | undefined
}

export const encodeTicketContent = (content: TicketContent): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify(content, (_, value: unknown) => typeof value === "bigint" ? value.toString() : value)
  )

/** Decodes a ticket; undefined for bytes that are none of the simulator. */
export const decodeTicketContent = (bytes: Uint8Array): TicketContent | undefined => {
  try {
    const content = JSON.parse(Buffer.from(bytes).toString()) as TicketContent
    if (typeof content.sql !== "string" || typeof content.streaming !== "boolean") return undefined
    if (content.cursor === undefined) return content
    const entries = Object.entries(content.cursor)
    const cursor = Object.fromEntries(entries.map(([network, at]) => [network, { ...at, number: BigInt(at.number) }]))
    return { ...content, cursor }
  } catch {
    return undefined
  }
}

/** `nozzle-resume` and `amp-resume`: each server reads its own. */
export const resumeHeaderOf = (dialect: Dialect): string => `${dialect}-resume`

/**
 * `{"<network>": {"number": n, "hash": "0x..."}}`.
 *
 * Anything else, an empty value included, means "no cursor", without an error, as on the servers.
 */
export const parseResumeHeader = (text: string): TicketContent["cursor"] => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined
  const cursor: Record<string, StreamPosition> = {}
  for (const [network, entry] of Object.entries(json as Record<string, { number?: unknown; hash?: unknown } | null>)) {
    const number = entry?.number
    const hash = entry?.hash
    if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) return undefined
    if (typeof hash !== "string" || !/^(?:0x)?[0-9a-fA-F]{64}$/.test(hash)) return undefined
    cursor[network] = { number: BigInt(number), hash: `0x${hash.replace(/^0x/, "").toLowerCase()}` }
  }
  return cursor
}

/** `amp-stream`: true, false, or undefined for any other value. */
export const parseStreamHeader = (text: string | undefined): boolean | undefined => {
  const value = text?.toLowerCase()
  if (value === "true" || value === "1") return true
  return value === "false" || value === "0" ? false : undefined
}
