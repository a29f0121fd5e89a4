/** Streams a table again and compares its rows with the stored ones, block by block. */
import { Duration, Effect, Fiber, Option, Pull, Result, Stream } from "effect"
import type { SqlError } from "effect/sql"
import type { ColumnBatch } from "../../../domain/arrow/ColumnBatch.ts"
import type { BlockRange } from "../../../domain/chain/BlockRange.ts"
import { followFrame, type FollowState, type Frame, startFollowing } from "../../../domain/chain/followFrame.ts"
import { resume } from "../../../domain/chain/resumeStrategy.ts"
import type { TableEvent } from "../../../domain/chain/TableEvent.ts"
import type { Watermark } from "../../../domain/chain/watermarks.ts"
import type { TableSpec } from "../../../domain/manifest/TableSpec.ts"
import type { EncodeError } from "../../../domain/postgres/encode/encodeCopy.ts"
import type { TableDesign } from "../../../domain/postgres/table/designTable.ts"
import { isRetryable } from "../../../domain/retryable.ts"
import type { BlockComparison } from "../../../domain/verify/BlockComparison.ts"
import { SyncConfig } from "../../../services/Config.ts"
import { FlightClient } from "../../../services/FlightClient.ts"
import type { StoredTable } from "../../../services/StoredRows.ts"
import { type ActiveConfig, sentQuery } from "../../reload/ActiveConfig.ts"
import { decodeMessages } from "../../table/decodeMessages.ts"
import { type Ending, notCompared } from "./Ending.ts"
import { isCanonical } from "./isCanonical.ts"
import { makeRowReader, type RowReader } from "./readRows.ts"

/** What is compared. */
export interface Comparing {
  readonly active: ActiveConfig
  readonly table: TableSpec
  readonly design: TableDesign
  readonly stored: StoredTable
  /** The stored block after which the stream begins; from the first block where absent. */
  readonly cursor: Watermark | undefined
  /** The last block. */
  readonly to: bigint
  /** How long the server may send nothing. */
  readonly timeout: Duration.Duration
}

/** Blocks that are compared at once: so many digests are held of either side. */
const STEP_BLOCKS = 20_000n
/** A nozzle server does not declare that a range is complete: once it is silent for so long, its rows may be all. */
const QUIET = Duration.seconds(2)
/** Connections in a row that bring nothing, before it is given up. */
const ATTEMPTS = 5

const done: Ending = { _tag: "Done" }

/** Compares until `comparison` is through `to`, or as far as the ranges of the server can be compared. */
export const compareStream = Effect.fn("compareStream")(function*(comparing: Comparing, comparison: BlockComparison) {
  const position = { cursor: comparing.cursor }
  for (let failures = 0;;) {
    const before = comparison.through
    comparison.restart()
    const outcome = yield* Effect.result(compareOnce(comparing, comparison, position))
    if (Result.isSuccess(outcome) && outcome.success !== "ended") return outcome.success
    failures = comparison.through > before ? 0 : failures + 1
    if (Result.isFailure(outcome)) {
      const error = outcome.failure
      const mayRetry = error._tag === "FlightError" && isRetryable(error)
      if (!mayRetry || failures >= ATTEMPTS) return yield* Effect.fail(error)
    } else if (failures >= ATTEMPTS) {
      return yield* notCompared(1, `the server ended the stream ${ATTEMPTS} times after block ${comparison.through}`)
    }
    yield* Effect.sleep("1 second")
  }
})

/** The newest end of a range up to which everything is compared: a stream that breaks is resumed there. */
interface Resumable {
  cursor: Watermark | undefined
}

type Events = ReadonlyArray<TableEvent<ColumnBatch>>

const compareOnce = Effect.fnUntraced(function*(
  comparing: Comparing,
  comparison: BlockComparison,
  position: Resumable
) {
  const [flight, config] = [yield* FlightClient, yield* SyncConfig]
  const { active, design, stored, table, timeout, to } = comparing
  const { cursor } = position
  const { network, origin } = stored.checkpoint
  const { messages } = yield* flight.open({
    sql: sentQuery(active, table).streaming,
    cursor: cursor === undefined ? undefined : { network: network!, number: cursor.block, hash: cursor.hash }
  })
  const reader = yield* makeRowReader(design, stored)
  const { rangeMode } = reader
  const pull = yield* Stream.toPull(decodeMessages(messages))
  const columns = design.columns.map(({ name }) => name)
  const ends = new Set(stored.checkpoint.history.map(({ block }) => block))
  const history = cursor === undefined ? [] : [cursor]
  const options = { rangeMode, retentionBlocks: config.retentionBlocks, onChainReset: config.onChainReset }
  let state = startFollowing({ network, origin, history, unverifiedFrom: undefined }, options, resume)
  let declaresEnds = true
  /** The end of the last range that is complete. */
  let completed = comparison.through

  const settle = Effect.fnUntraced(function*(upTo: bigint) {
    while (comparison.through < upTo) {
      const end = rangeMode || upTo - comparison.through <= STEP_BLOCKS ? upTo : comparison.through + STEP_BLOCKS
      comparison.settle(yield* stored.digests(columns, comparison.through, end), end)
    }
  })

  /** In one step, as far as hardly a row is stored: a chain may begin at block 300,000,000. */
  const skipTo = Effect.fnUntraced(function*(start: bigint) {
    const end = (origin !== undefined && origin < start ? origin : start) - 1n
    if (rangeMode || cursor !== undefined || end <= comparison.through || end > to) return
    comparison.settle(yield* stored.digests(columns, comparison.through, end), end)
  })

  /** Stored ranges may have other ends than those of this stream; rows can be compared only up to a common one. */
  const isCommonEnd = (block: bigint) =>
    ends.has(block) ? Effect.succeed(true) : Effect.map(
      stored.digests(columns, block - 1n, block),
      (digests) => digests.size > 0
    )

  const complete = Effect.fnUntraced(function*({ end, hash }: BlockRange) {
    completed = end
    if (rangeMode) {
      if (end > to) return true
      if (yield* isCommonEnd(end)) {
        yield* settle(end)
        position.cursor = { block: end, hash }
      }
    } else if (end >= to) {
      yield* settle(to)
    } else if (end <= comparison.through || end - comparison.through >= STEP_BLOCKS) {
      yield* settle(end)
      position.cursor = { block: end, hash }
    }
    return end >= to
  })

  const compareRows = Effect.fnUntraced(function*(reader: RowReader, batch: ColumnBatch, range: BlockRange) {
    const last = yield* reader.read(batch, range, comparison.through, to, (block, hash) => comparison.add(block, hash))
    // Rows of a range are in the order of their blocks.
    const passed = last > to ? to : last - 1n
    if (!rangeMode && (last > to || passed - comparison.through >= STEP_BLOCKS)) yield* settle(passed)
    return !rangeMode && last > to
  })

  const changed = Effect.fnUntraced(function*(reason: string, from: bigint) {
    const last = from - 1n < completed ? from - 1n : completed
    if (!rangeMode && last > comparison.through) yield* settle(last)
    return { _tag: "ChainChanged", reason, from } satisfies Ending as Ending
  })

  /** How the comparison ended, if it did. */
  const take = Effect.fnUntraced(
    function*(events: Events): Effect.fn.Return<Ending | undefined, SqlError.SqlError | EncodeError> {
      for (const event of events) {
        switch (event._tag) {
          case "Reorg":
            return yield* changed(`the server replaced blocks from ${event.range.start} on`, event.range.start)
          case "RangeStarted":
            reader.restart()
            yield* skipTo(event.range.start)
            break
          case "Rows":
            if (yield* compareRows(reader, event.batch, event.range)) return done
            break
          case "Watermark":
            if (yield* complete(event.range)) return rangeMode && comparison.through < to ? { _tag: "RangeEnds" } : done
        }
      }
      return undefined
    }
  )

  /** While nothing comes: whether the rows of the last range are all there. */
  const isQuietEnd = Effect.gen(function*() {
    const { current } = state
    if (declaresEnds || current === undefined || current.end < to || (rangeMode && current.end > to)) return false
    const digests = yield* stored.digests(columns, comparison.through, to)
    if (!comparison.matches(digests, to)) return false
    comparison.settle(digests, to)
    return true
  })

  const next = Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(pull)
    for (let waited = 0; waited < Duration.toMillis(timeout); waited += Duration.toMillis(QUIET)) {
      const exit = yield* Effect.timeoutOption(Fiber.await(fiber), QUIET)
      if (Option.isSome(exit)) return yield* exit.value
      if (yield* isQuietEnd) return done
    }
    if (!rangeMode && completed > comparison.through) yield* settle(completed < to ? completed : to)
    const newest = state.current === undefined ? "" : ` after block ${state.current.end}`
    const reason = `the server sent nothing${newest} for ${Duration.format(timeout)}, and block ${to} is not reached; `
      + "if it is only slow, raise --timeout"
    return { _tag: "Silent", reason } satisfies Ending as Ending
  })

  for (;;) {
    const received = yield* Pull.catchDone(next, () => Effect.succeed("ended" as const))
    if (received === "ended" || "_tag" in received) return received
    for (const frame of received) {
      if (frame.metadata !== undefined) declaresEnds = frame.metadata.complete !== undefined
      const step = yield* follow(active, state, frame)
      if (step._tag === "Violation") return yield* notCompared(1, step.reason)
      if (step._tag !== "Followed") return yield* changed(step.reason, frame.metadata!.ranges[0]!.start)
      state = step.state
      const ending = yield* take(step.events)
      if (ending !== undefined) return ending
    }
  }
}, Effect.scoped)

/** One frame by the rules of the chain; what they reject is a change of the chain, or a fault of the server. */
const follow = Effect.fnUntraced(function*(active: ActiveConfig, state: FollowState, frame: Frame<ColumnBatch>) {
  let step = followFrame(state, frame)
  if (step._tag === "Verify") {
    const network = frame.metadata!.ranges[0]!.network
    step = followFrame(state, frame, yield* isCanonical(active.manifest, network, step.watermark))
  }
  return step._tag === "Verify" ? yield* Effect.die(new Error("a verdict was asked for twice")) : step
})
