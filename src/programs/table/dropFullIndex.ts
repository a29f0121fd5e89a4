/** Drops an index of the config that has no room for a row: an index must not cost rows. */
import { Effect, Option, Ref } from "effect"
import * as log from "../../domain/logLines.ts"
import { isLocked } from "../../services/PgPool.ts"
import { TableIndexes } from "../../services/TableIndexes.ts"
import { TableRejected } from "../../services/TableLeases.ts"
import type { RowTooLargeForIndex } from "../../services/TableSink.ts"
import type { TableSession } from "./TableSession.ts"

/**
 * Tries until nobody uses the table for a moment: a drop needs it alone. `pause` reports why it has not succeeded yet, and waits.
 * Rejects the table where the index is not one of the config, which is left alone.
 */
export const dropFullIndex = Effect.fnUntraced(function*<E, R>(
  { leftOutIndexes, table: { name } }: TableSession,
  error: RowTooLargeForIndex,
  pause: (why: { readonly message: string }) => Effect.Effect<void, E, R>
) {
  const indexes = yield* TableIndexes
  let hasWaited = false
  for (;;) {
    const holders = new Set<number>()
    const dropped = yield* indexes.dropFull(
      name,
      error.index,
      (event) => Effect.sync(() => event.kind === "waiting" ? void holders.add(event.processId) : undefined)
    ).pipe(
      Effect.map(Option.getOrUndefined),
      Effect.catchIf(isLocked, (locked) => Effect.succeed({ reason: log.fullIndexInUse(error, [...holders], locked) }))
    )
    if (dropped !== undefined && "reason" in dropped) {
      hasWaited = true
      yield* pause({ message: dropped.reason })
      continue
    }
    if (dropped === undefined) {
      // Somebody has dropped it meanwhile.
      if (hasWaited) return
      return yield* new TableRejected({ table: name, reason: error.message })
    }
    if (!dropped.isDropped) {
      return yield* new TableRejected({ table: name, reason: log.fullIndexStays(dropped, error.blocks) })
    }
    yield* Ref.update(leftOutIndexes, (names) => new Set([...names, dropped.name]))
    yield* Effect.logWarning(log.indexDropped(name, dropped, error.blocks, error.index !== undefined))
    return
  }
})
