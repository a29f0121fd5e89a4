/**
 * Shows the tables of a schema by views in another one, which readers use, and switches these views to another schema.
 *
 * Owns the views and their comments, by which it knows them; whatever else is in that schema is never touched. It does not
 * judge whether the tables are caught up, but readers never go back in blocks.
 */
import type { Effect } from "effect"
import { Context, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { ViewPlan } from "../domain/publish/planViews.ts"
import type { ViewRequest } from "../domain/publish/ViewRequest.ts"

/** The views cannot become what they should be; only an operator can change that. */
export class ViewsRejected extends Schema.TaggedError<ViewsRejected>()("ViewsRejected", {
  reasons: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.reasons.join("\n")
  }
}

/** What readers see now is ahead of what they would see, or on another chain; later it may not be. */
export class ViewsAhead extends Schema.TaggedError<ViewsAhead>()("ViewsAhead", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}

export class SchemaViews extends Context.Service<SchemaViews, {
  /** What `publish` would do now. */
  readonly plan: (request: ViewRequest) => Effect.Effect<ViewPlan, ViewsRejected | SqlError.SqlError>
  /** Fails where readers would go back in blocks. */
  readonly requireAhead: (
    request: ViewRequest,
    plan: Pick<ViewPlan, "shown">
  ) => Effect.Effect<void, ViewsAhead | SqlError.SqlError>
  /**
   * Makes all views in one transaction. For the lock on a view that a transaction reads it waits a fifth of a second, and fails
   * then (`isLocked`, or a statement timeout): who wants to read the view meanwhile waits as long.
   */
  readonly publish: (
    request: ViewRequest
  ) => Effect.Effect<ViewPlan, ViewsAhead | ViewsRejected | SqlError.SqlError>
  /** The process ids of the sessions that read views of a schema in a transaction now. */
  readonly holders: (schema: string) => Effect.Effect<ReadonlyArray<number>, SqlError.SqlError>
}>()("ampsync/services/SchemaViews") {}
