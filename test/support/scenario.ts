/**
 * A small language for what a server sends: `data(0, 10), watermark(10), reorg(8, 12)`.
 *
 * Blocks are named by number and branch, such as `7a`; a reorg puts branch `b` in the place of `a`.
 */
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import type { Checkpoint } from "../../src/domain/chain/Checkpoint.ts"
import type { Followed, FollowOptions, FollowState, Rejection, Verdict } from "../../src/domain/chain/followFrame.ts"
import { followFrame, startFollowing } from "../../src/domain/chain/followFrame.ts"
import type { ResumeStrategy } from "../../src/domain/chain/resumeStrategy.ts"
import { resume } from "../../src/domain/chain/resumeStrategy.ts"
import type { RowBatch, TableEvent } from "../../src/domain/chain/TableEvent.ts"
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
  | { readonly kind: "range"; readonly ranges: ReadonlyArray<BlockRange>; readonly rows: number }
  | { readonly kind: "complete"; readonly end: number | undefined; readonly rows: number }
  | { readonly kind: "nothing"; readonly rows: number }

/** Rows of a range. `parent` "" leaves the hash of the block before out. */
export const data = (start: number, end: number, on = "a", parent: string = on): Message => ({
  kind: "range",
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
export const watermark = (end: number): Message => ({ kind: "complete", end, rows: 0 })

/** amp: a table without data files declares nothing complete. */
export const noData: Message = { kind: "complete", end: undefined, rows: 0 }

/** A schema or dictionary message. */
export const schema: Message = { kind: "nothing", rows: 0 }

/** A message such as no server should send. */
export const odd = (message: {
  readonly kind: "range" | "nothing"
  readonly ranges?: ReadonlyArray<BlockRange>
  readonly rows?: number
}): Message => ({ ranges: [], rows: 0, ...message })

export interface Scenario {
  readonly dialect: "nozzle" | "amp"
  /** Names of the stored watermarks, oldest first. */
  readonly stored?: ReadonlyArray<string>
  readonly origin?: number
  readonly strategy?: ResumeStrategy
  readonly options?: Partial<FollowOptions>
  /** The answer to every check of a block; without it the scenario ends there. */
  readonly verdict?: Verdict
  readonly unverifiedFrom?: number
}

export interface Outcome {
  /** One line per event, in order. */
  readonly lines: ReadonlyArray<string>
  readonly state: FollowState
  /** How the next connection is to be opened, if this one is given up. */
  readonly next: ResumeStrategy | undefined
}

/** The durable state of a table with these watermarks, oldest first. */
export const checkpoint = (...names: ReadonlyArray<string>): Checkpoint => ({
  network,
  origin: 0n,
  history: history(...names),
  unverifiedFrom: undefined
})

/** What `followFrame` makes of a connection on which these messages come. */
export const run = (scenario: Scenario, ...messages: ReadonlyArray<Message>): Outcome => {
  const stored: Checkpoint = {
    network: scenario.stored === undefined ? undefined : network,
    origin: scenario.stored === undefined ? undefined : BigInt(scenario.origin ?? 0),
    history: history(...(scenario.stored ?? [])),
    unverifiedFrom: scenario.unverifiedFrom === undefined ? undefined : BigInt(scenario.unverifiedFrom)
  }
  const options = { rangeMode: false, retentionBlocks: 128, onChainReset: "park" as const, ...scenario.options }
  let state = startFollowing(stored, options, scenario.strategy ?? resume)
  const lines: Array<string> = []
  for (const message of messages) {
    const step = follow(scenario, state, message)
    lines.push(...linesOf(step))
    if (step._tag !== "Followed") {
      return { lines, state, next: step._tag === "ReconnectFrom" ? step.strategy : undefined }
    }
    state = step.state
  }
  return { lines, state, next: undefined }
}

type Step = Followed<RowBatch> | Rejection

const follow = ({ dialect, verdict }: Scenario, state: FollowState, message: Message): Step => {
  const batch = { rows: message.rows }
  if (message.kind === "nothing") {
    return followFrame(state, { metadata: undefined, batch: message.rows === 0 ? undefined : batch })
  }
  const current = message.kind === "complete" && message.end !== undefined ? state.current : undefined
  if (message.kind === "complete" && message.end !== undefined && current?.end !== BigInt(message.end)) {
    throw new Error(`the range in progress does not end at ${message.end}`)
  }
  const ranges = message.kind === "range" ? message.ranges : current === undefined ? [] : [current]
  const metadata = { ranges, complete: dialect === "nozzle" ? undefined : message.kind === "complete" }
  const step = followFrame(state, { metadata, batch })
  return step._tag === "Verify" && verdict !== undefined ? followFrame(state, { metadata, batch }, verdict) : step
}

const linesOf = (step: Step): ReadonlyArray<string> => {
  switch (step._tag) {
    case "Followed":
      return step.events.flatMap(lineOf)
    case "Verify":
      return [`verify ${nameOf(step.watermark)}`]
    case "ReconnectFrom":
      return [strategyLine(step.strategy)]
    case "Violation":
      return [step.reason]
    case "ChainMismatch":
      return ["chain mismatch"]
  }
}

const lineOf = (event: TableEvent): Array<string> => {
  switch (event._tag) {
    case "RangeStarted":
      return []
    case "Rows":
      return [`rows ${event.range.start}..${event.range.end}`]
    case "Watermark":
      return [`complete up to ${nameOf({ block: event.range.end, hash: event.range.hash })}`]
    case "Reorg":
      return [
        event.deleteFrom === undefined ? "delete everything" : `delete from ${event.deleteFrom}`,
        ...(event.watermark === undefined ? [] : [`go on from ${nameOf(event.watermark)}`])
      ]
  }
}

const strategyLine = (strategy: ResumeStrategy): string => {
  switch (strategy.kind) {
    case "resume":
      return strategy.resets === 0 ? "reconnect" : "reconnect, to be sure"
    case "restart":
      return "reconnect from the first block"
    case "probe":
      return `reconnect from ${nameOf(strategy.candidate)}`
  }
}
