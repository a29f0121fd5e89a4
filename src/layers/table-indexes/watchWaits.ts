/** What a concurrent build waits for: it waits for every transaction that is older. */
import { type Duration, Effect } from "effect"
import { qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import type { IndexEvent } from "../../services/TableIndexes.ts"

/** Transactions, by their server process, that builds on a table or on its partitions wait for. */
const WAITS = `
  SELECT DISTINCT p.current_locker_pid AS "processId" FROM pg_stat_progress_create_index p
  WHERE p.datname = current_database() AND p.current_locker_pid <> 0 AND (p.relid = to_regclass($1)
    OR p.relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass($1)))`

/** Reports the transactions that builds on a table wait for, each once. Never ends. */
export const watchWaits = Effect.fnUntraced(function*(
  run: RunStatement,
  table: { readonly schema: string; readonly table: string },
  interval: Duration.Input,
  onEvent: (event: IndexEvent) => Effect.Effect<void>
): Effect.fn.Return<never> {
  const reported = new Set<number>()
  const read = run<{ processId: number }>(WAITS, [qualifiedName(table)])
  for (;;) {
    yield* Effect.sleep(interval)
    // Nobody depends on it.
    for (const { processId } of yield* Effect.orElseSucceed(read, () => [])) {
      if (reported.has(processId)) continue
      reported.add(processId)
      yield* onEvent({ kind: "waiting", processId })
    }
  }
})
