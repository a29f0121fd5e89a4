/** The HTTP interface of the app: what there is to ask, and the shape of every answer. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"

/** A block number as text: JSON has no integers of 64 bits. */
const Block = Schema.BigIntFromString

const Watermark = Schema.NullOr(Schema.Struct({ block: Block, hash: Schema.String }))

/** How far one table is. */
export const Table = Schema.Struct({
  table: Schema.String,
  state: Schema.String,
  rows: Block,
  watermark: Watermark,
  lagBlocks: Schema.NullOr(Block)
})

/** Complete blocks of a table, all of one snapshot: no row is of a block above `watermark`. */
export const Rows = Schema.Struct({
  watermark: Watermark,
  /** Values as PostgreSQL writes them: a number of 256 bits has no other form that loses nothing. */
  rows: Schema.Array(Schema.Record(Schema.String, Schema.NullOr(Schema.String)))
})

/** What a commit did; `baseline` where the table has to be read again. */
export const Change = Schema.Struct({
  kind: Schema.Literals(["baseline", "commit"]),
  table: Schema.String,
  watermark: Watermark,
  deletedFrom: Schema.NullOr(Block),
  firstBlock: Schema.NullOr(Block),
  lastBlock: Schema.NullOr(Block),
  reorgs: Schema.Array(Schema.Struct({ firstBlock: Block, depth: Block }))
})
export type Change = typeof Change.Type

export class NoSuchTable extends Schema.TaggedError<NoSuchTable>()("NoSuchTable", { table: Schema.String }) {}

export class TooManyBlocks extends Schema.TaggedError<TooManyBlocks>()("TooManyBlocks", { most: Schema.Int }) {}

/** The reader was too slow; it connects again, and reads the tables again. */
export class EventsMissed extends Schema.TaggedError<EventsMissed>()("EventsMissed", { missed: Schema.Int }) {}

export const Api = HttpApi.make("app").add(
  HttpApiGroup.make("tables", { topLevel: true }).add(
    HttpApiEndpoint.get("tables", "/tables", { success: Schema.Array(Table) }),
    HttpApiEndpoint.get("rows", "/tables/:table", {
      params: { table: Schema.String },
      query: { from: Block, to: Block },
      success: Rows,
      error: [NoSuchTable.pipe(HttpApiSchema.status(404)), TooManyBlocks.pipe(HttpApiSchema.status(400))]
    }),
    HttpApiEndpoint.get("events", "/events", {
      success: HttpApiSchema.StreamSse({ data: Change, error: EventsMissed })
    })
  )
)
