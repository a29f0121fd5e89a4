/** What a server reports of logical replication. */

/** A table in a publication. */
export interface PublishedTable {
  readonly table: string
  readonly publication: string
  /** It has no replica identity, so PostgreSQL refuses every DELETE (55000). */
  readonly refusesDelete: boolean
}

/** A replication slot whose follower is not connected: the server keeps the log for it. */
export interface IdleSlot {
  readonly name: string
  /** Bytes of the log that are kept; undefined where the slot is lost already, or never began. */
  readonly keptBytes: number | undefined
}

export interface ReplicationFacts {
  readonly walLevel: string
  readonly slots: number
  readonly maxSlots: number
  /** Connections of followers, physical replicas among them, that may be open at once. */
  readonly maxSenders: number
  /** Most bytes of the log that are kept for a slot; undefined without a limit. */
  readonly maxKeptBytes: number | undefined
  readonly idleSlots: ReadonlyArray<IdleSlot>
}
