/** The request of a publication: which tables of one schema another one shows. */

/** The schemas, by name, and the tables of the first that are to be shown. */
export interface ViewRequest {
  readonly from: string
  readonly as: string
  readonly tables: ReadonlyArray<string>
  /** Whether views and columns that `from` does not have may be dropped. */
  readonly drop: boolean
}

/** What readers need to know how far the tables are; without `_ampsync_reorgs`, whose ids begin again in each schema. */
export const SHOWN_BOOKKEEPING = [
  "_ampsync_checkpoints",
  "_ampsync_latest",
  "_ampsync_progress",
  "_ampsync_watermarks",
  "_ampsync_writers"
]
