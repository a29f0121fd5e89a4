/** What the server reports of logical replication. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { IdleSlot, ReplicationFacts } from "../../domain/health/ReplicationFacts.ts"
import type { RunStatement } from "../../services/PgPool.ts"

const FACTS = `
  SELECT current_setting('wal_level') AS "walLevel", (SELECT count(*)::integer FROM pg_replication_slots) AS slots,
    current_setting('max_replication_slots')::integer AS "maxSlots",
    current_setting('max_wal_senders')::integer AS "maxSenders",
    (SELECT CASE WHEN setting::bigint >= 0 THEN setting::float8 * 1048576 END
       FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS "maxKeptBytes"`

/** A standby has no current end of the log. */
const IDLE_SLOTS = `
  SELECT slot_name::text AS name, CASE WHEN NOT pg_is_in_recovery()
    THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 END AS "keptBytes"
  FROM pg_replication_slots WHERE NOT active ORDER BY 1`

type Row<A> = { readonly [K in keyof A]: A[K] | null }

export const readReplication = Effect.fnUntraced(function*(
  run: RunStatement
): Effect.fn.Return<ReplicationFacts, SqlError.SqlError> {
  const [row] = yield* run<Row<Omit<ReplicationFacts, "idleSlots">>>(FACTS)
  const idle = yield* run<Row<IdleSlot>>(IDLE_SLOTS)
  return {
    walLevel: row!.walLevel!,
    slots: row!.slots!,
    maxSlots: row!.maxSlots!,
    maxSenders: row!.maxSenders!,
    maxKeptBytes: row!.maxKeptBytes ?? undefined,
    idleSlots: idle.map(({ keptBytes, name }) => ({ name: name!, keptBytes: keptBytes ?? undefined }))
  }
})
