/** The identity of a table: its owner, and the query it is filled with. */

/** The owner of a table: its dataset and its name in the config. */
export interface TableOwner {
  readonly table: string
  /** `namespace/name`. */
  readonly dataset: string
}

/** The query that fills a table, and the columns it needs. */
export interface TableIdentity extends TableOwner {
  readonly version: string | undefined
  /** Changes when the query does. */
  readonly fingerprint: string
  /** The column that gives the position of a row in the chain. */
  readonly positionColumn: string
  /** Every column that ampsync created; where it is absent, the recorded ones stay. */
  readonly columns?: ReadonlyArray<string>
}

/** The recorded identity of a table: that of its last writer. */
export type RecordedTable = Pick<TableIdentity, "fingerprint" | "positionColumn" | "columns"> & {
  /** Absent where none was recorded. */
  readonly version?: string
}
