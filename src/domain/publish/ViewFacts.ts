/** What the catalog of PostgreSQL has of a schema that is shown by views in another one. */

export interface FoundColumn {
  readonly name: string
  /** With its modifiers and its collation: a view can be replaced by one with equal types only. */
  readonly type: string
  readonly comment: string | null
}

/** A table, or a view of the bookkeeping, that is to be shown. */
export interface FoundSource {
  readonly oid: number
  readonly name: string
  readonly comment: string | null
  readonly columns: ReadonlyArray<FoundColumn>
  /** Whether this role may read it. */
  readonly isReadable: boolean
}

/** A right that was granted on a view; `column` is null where it is on all of them. */
export interface FoundGrant {
  readonly column: string | null
  /** The whole statement. */
  readonly statement: string
}

/** What has one of the names in the schema of the views, or was made there by an earlier publication. */
export interface FoundTarget {
  readonly name: string
  /** `pg_class.relkind`. */
  readonly kind: string
  readonly comment: string | null
  readonly columns: ReadonlyArray<FoundColumn>
  /** `name=value`, such as `security_invoker=true`. */
  readonly options: ReadonlyArray<string>
  readonly owner: string
  /** Whether this role has the rights of the owner. */
  readonly isOwned: boolean
  /** The relations that a view reads. */
  readonly reads: ReadonlyArray<{ readonly oid: number; readonly schema: string }>
  /** Views, triggers and rules that would go with a view that is dropped. */
  readonly dependents: ReadonlyArray<string>
  readonly grants: ReadonlyArray<FoundGrant>
  /**
   * Roles with whose rights a view reads, and that may not read the source of its name: its owner, or with `security_invoker`
   * those that may read the view.
   */
  readonly unable: ReadonlyArray<string>
}

export interface ViewFacts {
  /** This role. */
  readonly role: string
  /** The schema of the views exists. */
  readonly schemaExists: boolean
  /** This role may create views there, or the schema where it is missing. */
  readonly mayCreate: boolean
  readonly sources: ReadonlyArray<FoundSource>
  readonly targets: ReadonlyArray<FoundTarget>
}
