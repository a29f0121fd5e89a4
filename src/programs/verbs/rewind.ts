/** The verb `rewind`: removes the newest blocks of a table, so that the next start reads them again. */
import { Console, Effect } from "effect"
import { Checkpoints } from "../../services/Checkpoints.ts"
import { TableSink } from "../../services/TableSink.ts"
import { sendHeartbeats } from "../report/sendHeartbeats.ts"
import { withCommitGrace } from "../table/withCommitGrace.ts"
import { changing, confirm, type Confirmation, connectFirst } from "./removal.ts"

export interface RewindOptions extends Confirmation {
  /** The newest block that may stay. */
  readonly toBlock: bigint
}

/** As `rewindTable`, after a question. */
export const rewind = Effect.fn("rewind")(function*(options: RewindOptions) {
  const checkpoints = yield* Checkpoints
  const { table, toBlock } = options
  const isConfirmed = yield* confirm(
    options,
    (watermark, place) =>
      Effect.map(
        checkpoints.watermarkUpTo(table, toBlock),
        // Where there is none, the rewind is refused.
        (kept) =>
          `Delete the rows of table "${table}" in ${place} (complete up to block ${watermark ?? "none"}) above block ${
            kept === undefined ? toBlock : `${kept.block}, its newest watermark at or below ${toBlock}`
          }, to read them again?`
      )
  )
  if (!isConfirmed) return yield* Console.log("Nothing was changed.")
  // Without a time limit: the deletion of many rows takes as long as it takes, and a database that falls silent is noticed.
  const { before, rowsRemoved, watermark } = yield* changing("rewind", "the table is rewound")(
    rewindTable(table, toBlock)
  )
  if (before.block === watermark.block && rowsRemoved === 0) {
    return yield* Console.log(`Table "${table}": nothing to rewind; it is complete up to block ${watermark.block}.`)
  }
  yield* Console.log(
    `Table "${table}": rewound from block ${before.block} to block ${watermark.block}, its newest watermark at or below ` +
      `${toBlock}; ${rowsRemoved} rows deleted. The next start reads the blocks above it again.`
  )
})

/** Removes rows and history above the newest watermark at or below a block, without a question. */
export const rewindTable = Effect.fnUntraced(function*(table: string, toBlock: bigint) {
  const sink = yield* TableSink
  yield* sendHeartbeats(Effect.void)
  return yield* withCommitGrace(sink.rewind(table, toBlock))
}, Effect.scoped)

/** As `rewind`, with a connection of its own to the database. */
export const connectAndRewind = (options: RewindOptions) => connectFirst(options.timeout, rewind(options))
