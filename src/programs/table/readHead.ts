/** The head of the source of a stream, for its lag and for whether it has caught up. */
import { Clock, Effect } from "effect"
import { ANY_BLOCK, type Head, type HeadReport } from "../../domain/chain/sourceHead.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { SourceHead, type SourceHeadError } from "../../services/SourceHead.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { expectedNetwork } from "../reload/ActiveConfig.ts"
import type { StreamActivity } from "./StreamActivity.ts"
import type { TableSession } from "./TableSession.ts"
import type { Turn } from "./Turn.ts"

export interface WatchedStream {
  readonly table: string
  readonly manifest: Manifest
  /** Used until the stream names its network; undefined where the config does not name one either. */
  readonly network: string | undefined
  readonly activity: StreamActivity
  readonly turn: Pick<Turn, "isBuilding">
  /** Networks whose head could not be read, for all tables: it is reported once. */
  readonly unreadableHeads: Set<string>
}

/** What the head of a stream's source is read for. */
type ReadFor = Pick<WatchedStream, "table" | "manifest" | "network" | "unreadableHeads"> & {
  readonly activity: Pick<StreamActivity, "network" | "watermark">
}

export const networkOf = ({ activity, network }: Pick<ReadFor, "activity" | "network">): string | undefined =>
  activity.network ?? network

/** Waits until the source is asked for all tables of the network. */
export const nextTick = Effect.fnUntraced(function*(watching: ReadFor) {
  const source = yield* SourceHead
  yield* source.nextTick(networkOf(watching) ?? "")
})

/** Fails where it cannot be read. */
export const readHead = Effect.fnUntraced(function*(watching: ReadFor): Effect.fn.Return<
  HeadReport,
  SourceHeadError | UnknownNetwork,
  SourceHead | StatusRecorder
> {
  const { activity, manifest, table, unreadableHeads } = watching
  const [source, status] = [yield* SourceHead, yield* StatusRecorder]
  const network = networkOf(watching)
  if (network === undefined) return yield* Effect.fail(unknownNetwork)
  const askedAtMillis = yield* Clock.currentTimeMillis
  const report = yield* source.check(manifest, network, activity.watermark ?? ANY_BLOCK)
  unreadableHeads.delete(network)
  const { end, head } = report
  // A lower bound of the head would show as a lag that is too small.
  const shown = head?.isExact === false ? end : head
  if (shown !== undefined) yield* status.record(table, { _tag: "HeadRead", head: shown, askedAtMillis })
  return activity.watermark === undefined ? { head, verdict: "unknown" } : report
})

/** Keeps the head of a table's source current while it has no stream. Never ends. */
export const watchHead = Effect.fnUntraced(function*({ active, shared, table }: TableSession) {
  for (;;) {
    const config = yield* active
    const watching: ReadFor = {
      table: table.name,
      manifest: config.manifest,
      network: expectedNetwork(config, table),
      activity: { network: undefined, watermark: undefined },
      unreadableHeads: shared.unreadableHeads
    }
    // Nobody depends on it.
    yield* Effect.ignore(readHead(watching))
    yield* nextTick(watching)
  }
})

/** Neither the stream nor the config named the network yet. */
const unknownNetwork = { _tag: "UnknownNetwork", retryable: true } as const
export type UnknownNetwork = typeof unknownNetwork

/**
 * The head that proves, once the stream is complete up to it and it is the head still, that the table has caught up; undefined where
 * silence has to: on servers that declare no ends, and where the source may have more.
 */
export const provingHead = ({ declaresEnds }: StreamActivity, { head }: HeadReport): Head | undefined =>
  declaresEnds && head?.isExact === true ? head : undefined

/** Whether the stream is complete up to `head`. */
export const hasReached = ({ watermark }: StreamActivity, head: Head): boolean =>
  watermark !== undefined && watermark.block >= head.block
