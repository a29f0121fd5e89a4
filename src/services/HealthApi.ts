/**
 * The HTTP interface for probes and people: which paths there are, and the shape of every answer.
 *
 * Owns no state: answers are made from `SyncStatus`. Invariant I7: no answer contains a row value, a secret or the text of a
 * query.
 */
import { Schema, SchemaTransformation } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, HttpApiSchema, OpenApi } from "effect/http-api"
import { noReadyReasons } from "../domain/health/readiness.ts"
import { VERSION } from "../domain/version.ts"

const describe = (description: string) => <S extends Schema.Top>(schema: S) => schema.annotate({ description })

/** ISO 8601, in UTC. */
const Time = Schema.String.pipe(describe("ISO 8601, UTC"))
const OrNull = <S extends Schema.Top>(schema: S, description: string) => Schema.NullOr(schema).annotate({ description })

/** The process answers. */
export const Alive = Schema.Struct({ status: Schema.Literal("alive") }).annotate({ identifier: "Alive" })

/** As `Alive`, with what `/readyz` would answer. */
export const Health = Schema.Struct({
  status: Schema.Literal("alive"),
  ready: Schema.Boolean.pipe(describe("Whether /readyz without parameters answers with 200"))
}).annotate({ identifier: "Health" })

export const Ready = Schema.Struct({ ready: Schema.Literal(true) }).annotate({ identifier: "Ready" })

export const Reason = Schema.Struct({
  table: OrNull(Schema.String, "null where it concerns the whole process"),
  code: Schema.Literals(noReadyReasons),
  message: Schema.String,
  since: OrNull(Time, "null where it is not known")
})

/** The process is not ready: at least one reason. */
export const NotReady = Schema.Struct({
  ready: Schema.Literal(false),
  reasons: Schema.Array(Reason)
}).annotate({ identifier: "NotReady" })

/** The request cannot be answered as it is. */
export const BadRequest = Schema.Struct({ message: Schema.String }).annotate({ identifier: "BadRequest" })

const Failure = Schema.Struct({ message: Schema.String, at: Time })

const PerSecond = Schema.Array(Schema.Finite)

/** What was committed per second; the second in progress is part of none of it. */
const throughput = {
  rows_per_second: Schema.Finite.pipe(describe("Rows committed per second, mean of the last 10 seconds")),
  bytes_per_second: Schema.Finite.pipe(describe("Bytes of COPY data per second, mean of the last 10 seconds")),
  rows_by_second: PerSecond.pipe(describe("Rows committed in each of the last 60 seconds, oldest first")),
  bytes_by_second: PerSecond.pipe(describe("Bytes of COPY data in each of the last 60 seconds, oldest first"))
}

export const TableReport = Schema.Struct({
  table: Schema.String,
  state: Schema.String.pipe(describe("One of the states of docs/operating.md")),
  reason: OrNull(Schema.String, "Why it is not catching up or caught up"),
  since: Time.pipe(describe("When the state began")),
  watermark: OrNull(Schema.Finite, "Highest block up to which the table is complete"),
  watermark_hash: OrNull(Schema.String, "Hash of that block"),
  watermark_at: OrNull(Time, "Time at which the watermark was reached; null until this process has moved it"),
  block_at: OrNull(Time, "Time of its block; amp servers only, from the first commit on"),
  block_age_seconds: OrNull(Schema.Finite, "Seconds since block_at"),
  last_block: OrNull(
    Schema.Finite,
    "Last block whose rows were committed by this process; above the watermark rows are provisional"
  ),
  source_head: OrNull(Schema.Finite, "Last block of the source, as last read"),
  source_head_read_at: OrNull(Time, "When source_head was read"),
  lag_blocks: OrNull(
    Schema.Finite,
    "Blocks between what is committed and source_head, or the block as far below it as confirmations are needed"
  ),
  lag_seconds: OrNull(Schema.Finite, "Seconds between the times of the watermark and of source_head; amp servers only"),
  rows: OrNull(Schema.Finite, "Rows in the table, provisional ones included; null until its stream was open"),
  provisional_rows: OrNull(Schema.Finite, "Rows above the watermark; null until its stream was open"),
  rows_committed: Schema.Finite.pipe(describe("Rows committed by this process")),
  bytes_committed: Schema.Finite.pipe(describe("Bytes of COPY data committed by this process")),
  blocks_committed: Schema.Finite.pipe(describe("Blocks committed by this process")),
  ...throughput,
  chunk_rows: Schema.Finite.pipe(describe("Rows that a transaction should have now, learnt from those before")),
  stage_seconds: Schema.Struct({
    source: Schema.Finite.pipe(describe("Waiting for rows of the source")),
    encode: Schema.Finite.pipe(describe("Encoding rows")),
    storage: Schema.Finite.pipe(describe("Waiting for the database"))
  }).annotate({ description: "Where the time of this process went: the largest is the bottleneck" }),
  unverified: Schema.Boolean.pipe(
    describe("Blocks of the watermark history could not be checked against the server's chain")
  ),
  confirmations: Schema.Finite.pipe(describe("Blocks that must be on top of rows before they are written")),
  held_blocks: Schema.Finite.pipe(describe("Blocks that were received and wait for confirmations")),
  held_rows: Schema.Finite.pipe(describe("Rows that wait for confirmations")),
  held_bytes: Schema.Finite.pipe(describe("Memory of what waits for confirmations")),
  failed_attempts: Schema.Finite.pipe(describe("Failed attempts in a row without progress")),
  retries: Schema.Finite.pipe(describe("Attempts of this process that failed and were followed by another")),
  last_error: OrNull(Failure, "The first cause of the last failure"),
  first_error: OrNull(Failure, "The first failure since the last progress: later ones may be its consequences"),
  reorgs: Schema.Finite.pipe(describe("Reorgs applied by this process"))
})

/** A reorg that this process applied. */
export const LastReorg = Schema.Struct({
  table: Schema.String,
  first_block: Schema.Finite.pipe(describe("First block that it replaced")),
  depth: Schema.Finite.pipe(describe("Blocks that it replaced; 0 where none was known before")),
  rows_deleted: Schema.Finite.pipe(describe("Rows that its transaction deleted")),
  at: Time
})

export const Status = Schema.Struct({
  version: Schema.String.pipe(describe("Version of Ampsync")),
  ready: Schema.Boolean.pipe(describe("Whether /readyz without parameters answers with 200")),
  reasons: Schema.Array(Reason).annotate({ description: "Why it is not ready; empty where it is" }),
  started_at: Time.pipe(describe("When the process started")),
  heartbeat_at: OrNull(Time, "When the database last recorded a heartbeat of this process"),
  config: Schema.NullOr(Schema.Struct({
    dataset: Schema.String.pipe(describe("As the config names it")),
    version: OrNull(Schema.String, "What the server resolved the dataset to"),
    dialect: OrNull(Schema.Literals(["nozzle", "amp"]), "Dialect of the server"),
    sources: OrNull(
      Schema.Array(Schema.Struct({ dataset: Schema.String, version: Schema.String })),
      "The datasets that the queries read; null while the Admin API does not answer"
    ),
    fingerprint: Schema.String.pipe(describe("Equal for configs that ask for the same tables with the same settings")),
    active_since: Time
  })).annotate({ description: "The active config; null before there is one" }),
  last_reload: Schema.NullOr(Schema.Struct({
    outcome: Schema.Literals(["applied", "failed"]),
    at: Time,
    reason: OrNull(Schema.String, "Why it failed"),
    applied: Schema.Finite.pipe(describe("Since the start of the process")),
    failed: Schema.Finite.pipe(describe("Since the start of the process"))
  })).annotate({ description: "The last change of the config; null before the first" }),
  permits: Schema.NullOr(Schema.Struct({
    total: Schema.Finite.pipe(describe("MAX_CONCURRENT_BATCHES")),
    in_use: Schema.Finite.pipe(describe("Tables that write right now"))
  })).annotate({ description: "Transactions that may be in flight over all tables; null before the first config" }),
  throughput: Schema.Struct(throughput).annotate({ description: "Of all tables together" }),
  tables: Schema.Array(TableReport),
  last_reorgs: Schema.Array(LastReorg).annotate({ description: "At most 20, newest first" })
}).annotate({ identifier: "Status" })
export type Status = typeof Status.Type

/** Somebody has to close the page before anybody else can watch. */
export const TooManyReaders = Schema.Struct({ message: Schema.String }).annotate({ identifier: "TooManyReaders" })

/** The text format of Prometheus. */
export const Metrics = Schema.String.pipe(
  HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })
)

/** Parameters that are wrong become `BadRequest`. */
export class QueryErrors extends HttpApiMiddleware.Service<QueryErrors>()("ampsync/services/HealthApi/QueryErrors", {
  error: BadRequest.pipe(HttpApiSchema.status(400))
}) {}

const Limit = (description: string) =>
  Schema.optional(
    Schema.String.annotate({ description: `${description}: ${expected}` }).check(
      Schema.isPattern(/^\d{1,15}$/, { message: `expected ${expected}` })
    ).pipe(Schema.decodeTo(Schema.Int, SchemaTransformation.numberFromString))
  )

const expected = "a whole number of at least 0, of at most 15 digits"

const probes = HttpApiGroup.make("probes", { topLevel: true }).add(
  HttpApiEndpoint.get("livez", "/livez", { success: Alive })
    .annotate(OpenApi.Summary, "Whether the process runs: 200 as long as it answers at all"),
  HttpApiEndpoint.get("healthz", "/healthz", { success: Health })
    .annotate(OpenApi.Summary, "As /livez, under the name of the first ampsync, and whether the process is ready"),
  HttpApiEndpoint.get("readyz", "/readyz", {
    query: {
      max_lag_blocks: Limit("Largest acceptable lag of each table in blocks"),
      max_lag_seconds: Limit("Largest acceptable lag of each table in seconds")
    },
    success: Ready,
    error: NotReady.pipe(HttpApiSchema.status(503))
  }).middleware(QueryErrors).annotate(OpenApi.Summary, "Whether every table is synced, and lags no more than asked"),
  HttpApiEndpoint.get("status", "/status", { success: Status })
    .annotate(OpenApi.Summary, "What the process does, per table"),
  HttpApiEndpoint.get("metrics", "/metrics", { success: Metrics })
    .annotate(OpenApi.Summary, "Metrics for Prometheus; docs/metrics.md lists them")
)

const page = HttpApiGroup.make("page", { topLevel: true }).add(
  HttpApiEndpoint.get("page", "/", { success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/html" })) })
    .annotate(OpenApi.Summary, "A page for people that shows /status and keeps itself up to date"),
  HttpApiEndpoint.get("events", "/events", {
    success: HttpApiSchema.StreamSse({ data: Status }),
    error: TooManyReaders.pipe(HttpApiSchema.status(503))
  }).annotate(
    OpenApi.Summary,
    "/status as server-sent events: at the connect, and when it has changed, once a second at most"
  )
)

/** A parameter that does not exist is an error: a misspelt limit must not be taken for none. */
export const HealthApi = HttpApi.make("ampsync").add(probes, page)
  .annotate(HttpApi.QueryParseOptions, { onExcessProperty: "error" })
  .annotateMerge(OpenApi.annotations({ title: "Ampsync", version: VERSION }))
