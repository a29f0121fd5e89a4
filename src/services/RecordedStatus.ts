/**
 * Reads from the database alone what the processes of a sync have recorded in it.
 *
 * Owns no state, and writes nothing: a role that may only read is enough.
 */
import { Context, type Effect, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { SyncRecord } from "../domain/health/SyncRecord.ts"

/** The schema holds no record that this version can read; only a change of settings, rights or the database helps. */
export class NothingRecorded extends Schema.TaggedError<NothingRecorded>()("NothingRecorded", {
  reason: Schema.Literals(["no schema", "no bookkeeping", "old bookkeeping", "no rights"]),
  message: Schema.String
}) {}

export class RecordedStatus extends Context.Service<RecordedStatus, {
  /** Reads everything in one snapshot of the database. */
  readonly read: Effect.Effect<SyncRecord, NothingRecorded | SqlError.SqlError>
}>()("ampsync/services/RecordedStatus") {}
