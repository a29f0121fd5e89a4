/** The state that the attempts at one table share. */
import { Deferred, Effect, Ref, SubscriptionRef } from "effect"
import type { SqlError } from "effect/sql"
import type { Progress } from "../../domain/chain/progress.ts"
import { resume, type ResumeStrategy } from "../../domain/chain/resumeStrategy.ts"
import { type ChunkSize, initialChunkSize } from "../../domain/ChunkSize.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import type { TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import type { TableLeases, TableRejected } from "../../services/TableLeases.ts"
import type { ActiveConfig } from "../reload/ActiveConfig.ts"
import type { CopyBuffers } from "./CopyBuffers.ts"
import type { HeldMemory } from "./HeldMemory.ts"
import { KeptRanges } from "./KeptRanges.ts"
import type { Permits } from "./Permits.ts"
import { type TableSpans, tableSpans } from "./TableSpans.ts"
import { makeTurn, type Turn } from "./Turn.ts"

/** What all tables of a process share. */
export interface SharedByTables {
  /** One permit per chunk in flight: what all tables hold in memory together is bounded by them (I8). */
  readonly permits: Permits
  readonly buffers: CopyBuffers
  /** Of what waits for confirmations. */
  readonly held: HeldMemory
  /** Networks whose head could not be read: it is reported once. */
  readonly unreadableHeads: Set<string>
  /** With STANDBY: the process that has to fall silent first; undefined once this one has all tables. */
  readonly awaited: Effect.Effect<string | undefined, SqlError.SqlError, TableLeases>
}

/** What the attempts at one table share; nothing here must survive the process. */
export interface TableSession {
  readonly table: TableSpec
  /** Of the active config: one that leaves this table as it is may replace it between two attempts. */
  readonly active: Effect.Effect<ActiveConfig>
  readonly shared: SharedByTables
  readonly turn: Turn
  readonly size: Ref.Ref<ChunkSize>
  readonly strategy: Ref.Ref<ResumeStrategy>
  readonly progress: Ref.Ref<Progress>
  /** What the current attempt achieved, known also where it fails. */
  readonly achieved: Ref.Ref<Achieved>
  /** What waited for confirmations when the last connection ended. */
  readonly kept: KeptRanges
  /** Done once the table has caught up for the first time. */
  readonly caughtUp: Deferred.Deferred<void>
  /** The table as long as its keys are not built; undefined where it has them, and before it is prepared. */
  readonly deferred: SubscriptionRef.SubscriptionRef<TableDefinition | undefined>
  /** This process writes the table, as far as it knows. */
  readonly isWriter: SubscriptionRef.SubscriptionRef<boolean>
  /** Fails once the keys turn out to be impossible. */
  readonly impossibleKeys: Deferred.Deferred<never, TableRejected>
  /** Names of indexes of the config that rows have no room in: no more in this run. */
  readonly leftOutIndexes: Ref.Ref<ReadonlySet<string>>
  /** Only a change of the config, or a new start, tries it again. */
  readonly isParked: Ref.Ref<boolean>
  /** The process that this one stood by for, until it has the table. */
  readonly heldBy: Ref.Ref<string | undefined>
  /** Undefined where nothing takes spans. */
  readonly spans: TableSpans | undefined
}

/** A session without attempts yet. */
export const makeTableSession = Effect.fnUntraced(function*(
  table: TableSpec,
  active: Effect.Effect<ActiveConfig>,
  shared: SharedByTables
): Effect.fn.Return<TableSession> {
  return {
    table,
    active,
    shared,
    turn: yield* makeTurn,
    size: yield* Ref.make(initialChunkSize),
    strategy: yield* Ref.make(resume),
    progress: yield* Ref.make<Progress>({ watermark: undefined, highestRow: undefined }),
    achieved: yield* Ref.make<Achieved>({ progress: false, atTip: false }),
    kept: new KeptRanges(shared.held),
    caughtUp: yield* Deferred.make<void>(),
    deferred: yield* SubscriptionRef.make<TableDefinition | undefined>(undefined),
    isWriter: yield* SubscriptionRef.make(false),
    impossibleKeys: yield* Deferred.make<never, TableRejected>(),
    leftOutIndexes: yield* Ref.make<ReadonlySet<string>>(new Set()),
    isParked: yield* Ref.make(false),
    heldBy: yield* Ref.make<string | undefined>(undefined),
    spans: yield* tableSpans(table.name)
  }
})

/** Something was committed that was never committed before; the stream ended while the table was caught up. */
export interface Achieved {
  readonly progress: boolean
  readonly atTip: boolean
}
