/**
 * A small language to tell what a server says: `data(0, 10), watermark(10), reorg(8, 12)`.
 *
 * Blocks are named by number and branch, such as `7a`; a reorg puts branch `b` in the place of `a`.
 */
import type { Approach } from "../../src/domain/chain/approach.ts"
import { resume } from "../../src/domain/chain/approach.ts"
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import type { ChainEvent, FollowOptions, FollowState, Known, Step, Verdict } from "../../src/domain/chain/follow.ts"
import { follow, startFollowing } from "../../src/domain/chain/follow.ts"
import type { History, Watermark } from "../../src/domain/chain/watermarks.ts"

export const network = "anvil"

/** Distinct for every block of every branch, and readable again. */
export const hashOf = (block: bigint, branch: string): string => {
  const hex = Array.from(`${block}${branch}`, (char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join("")
  return `0x${hex.padStart(64, "0")}`
}

/** `7a`. */
const nameOf = ({ block, hash }: Watermark): string => {
  const digits = hash.slice(2).replace(/^(?:00)+/, "")
  const name = digits.replaceAll(/../g, (byte) => String.fromCharCode(Number.parseInt(byte, 16)))
  return name.startsWith(`${block}`) ? name : `${block} with the hash of ${name}`
}

export const block = (name: string): Watermark => {
  const [, number, branch] = /^(\d+)(.+)$/.exec(name)!
  return { block: BigInt(number!), hash: hashOf(BigInt(number!), branch!) }
}

export const history = (...names: ReadonlyArray<string>): History => names.map(block)

/** Blocks `start` to `end` of branch `on`, the first one a child of block `start - 1` of branch `parent`. */
export const range = (start: number, end: number, on = "a", parent: string | undefined = on): BlockRange => ({
  network,
  start: BigInt(start),
  end: BigInt(end),
  hash: hashOf(BigInt(end), on),
  prevHash: start === 0 || parent === "" ? undefined : hashOf(BigInt(start) - 1n, parent),
  timestamp: undefined
})

export type Message =
  | { readonly says: "range"; readonly ranges: ReadonlyArray<BlockRange>; readonly rows: number }
  | { readonly says: "complete"; readonly end: number | undefined; readonly rows: number }
  | { readonly says: "nothing"; readonly rows: number }

/** Rows of a range. `parent` "" leaves the hash of the block before out. */
export const data = (start: number, end: number, on = "a", parent: string = on): Message => ({
  says: "range",
  ranges: [range(start, end, on, parent)],
  rows: 1
})

/** Blocks from `start` on are replaced: rows of a range of branch `on`, which leaves branch `from` there. */
export const reorg = (start: number, end: number, on = "b", from = "a"): Message => data(start, end, on, from)

/** amp: no rows yet, the range is being worked on. */
export const keepAlive = (start: number, end: number, on = "a", parent: string = on): Message => ({
  ...data(start, end, on, parent),
  rows: 0
})

/** amp: the range in progress, which ends at `end`, is complete. */
export const watermark = (end: number): Message => ({ says: "complete", end, rows: 0 })

/** amp: tables without data files say so and end. */
export const noData: Message = { says: "complete", end: undefined, rows: 0 }

/** A schema or dictionary message. */
export const schema: Message = { says: "nothing", rows: 0 }

/** A message such as no server should send. */
export const odd = (message: {
  readonly says: "range" | "nothing"
  readonly ranges?: ReadonlyArray<BlockRange>
  readonly rows?: number
}): Message => ({ ranges: [], rows: 0, ...message })

export interface Teller {
  readonly dialect: "nozzle" | "amp"
  /** Names of the stored watermarks, oldest first. */
  readonly stored?: ReadonlyArray<string>
  readonly origin?: number
  readonly asking?: Approach
  readonly options?: Partial<FollowOptions>
  /** The answer to every look-up of a block; without it the scenario ends there. */
  readonly verdict?: Verdict
  readonly unverifiedFrom?: number
}

export interface Outcome {
  /** One line per event, in order. */
  readonly lines: ReadonlyArray<string>
  readonly state: FollowState
  /** Where the next connection is to be opened, if this one is given up. */
  readonly next: Approach | undefined
}

/** What `follow` makes of a connection on which these messages come. */
export const hear = (teller: Teller, ...messages: ReadonlyArray<Message>): Outcome => {
  const known: Known = {
    network: teller.stored === undefined ? undefined : network,
    origin: teller.stored === undefined ? undefined : BigInt(teller.origin ?? 0),
    history: history(...(teller.stored ?? [])),
    unverifiedFrom: teller.unverifiedFrom === undefined ? undefined : BigInt(teller.unverifiedFrom)
  }
  const options = { rangeMode: false, retentionBlocks: 128, onChainReset: "park" as const, ...teller.options }
  let state = startFollowing(known, options, teller.asking ?? resume)
  const lines: Array<string> = []
  for (const message of messages) {
    const step = stepOf(teller, state, message)
    lines.push(...linesOf(step, message.rows))
    if (step._tag !== "Advance") return { lines, state, next: step._tag === "Reconnect" ? step.approach : undefined }
    state = step.completed?.state ?? step.state
  }
  return { lines, state, next: undefined }
}

const stepOf = ({ dialect, verdict }: Teller, state: FollowState, message: Message): Step => {
  if (message.says === "nothing") return follow(state, undefined, message.rows)
  const current = message.says === "complete" && message.end !== undefined ? state.current : undefined
  if (message.says === "complete" && message.end !== undefined && current?.end !== BigInt(message.end)) {
    throw new Error(`the range in progress does not end at ${message.end}`)
  }
  const ranges = message.says === "range" ? message.ranges : current === undefined ? [] : [current]
  const metadata = { ranges, complete: dialect === "nozzle" ? undefined : message.says === "complete" }
  const step = follow(state, metadata, message.rows)
  return step._tag === "Verify" && verdict !== undefined ? follow(state, metadata, message.rows, verdict) : step
}

const linesOf = (step: Step, rows: number): ReadonlyArray<string> => {
  switch (step._tag) {
    case "Advance": {
      const lines = step.events.flatMap(lineOf)
      const current = step.state.current
      if (rows > 0 && current !== undefined) lines.push(`rows ${current.start}..${current.end}`)
      if (step.completed !== undefined) lines.push(completedLine(step.completed.range))
      return lines
    }
    case "Verify":
      return [`look up ${nameOf(step.watermark)}`]
    case "Reconnect":
      return [approachLine(step.approach)]
    case "Breach":
      return [step.reason]
    case "AnotherChain":
      return ["another chain"]
  }
}

const lineOf = (event: ChainEvent): Array<string> => {
  if (event._tag === "Range") return []
  if (event._tag === "Watermark") return [completedLine(event.range)]
  const { deleteFrom, watermark } = event
  return [
    deleteFrom === undefined ? "delete everything" : `delete from ${deleteFrom}`,
    ...(watermark === undefined ? [] : [`go on from ${nameOf(watermark)}`])
  ]
}

const completedLine = ({ end, hash }: BlockRange): string => `complete up to ${nameOf({ block: end, hash })}`

const approachLine = (approach: Approach): string => {
  switch (approach.kind) {
    case "resume":
      return approach.resets === 0 ? "ask again" : "ask again, to be sure"
    case "restart":
      return "ask for everything"
    case "probe":
      return `ask from ${nameOf(approach.asked)}`
  }
}
