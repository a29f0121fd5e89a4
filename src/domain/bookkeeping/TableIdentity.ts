/** Whose table it is, and what it is filled with. */

/** A table belongs to its dataset and its name. */
export interface TableOwner {
  readonly table: string
  /** `namespace/name`. */
  readonly dataset: string
}

/** What a table is filled with. */
export interface TableIdentity extends TableOwner {
  readonly version: string | undefined
  /** Changes when the query does. */
  readonly fingerprint: string
  /** The column with the position of a row in the chain. */
  readonly positionColumn: string
  /** Every column that ampsync created; where it is absent, what was recorded of them stays. */
  readonly columns?: ReadonlyArray<string>
}

/** What a table was filled with last. */
export type RecordedTable = Pick<TableIdentity, "fingerprint" | "positionColumn" | "columns"> & {
  /** Absent where none was recorded. */
  readonly version?: string
}
