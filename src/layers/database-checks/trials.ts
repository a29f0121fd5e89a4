/** Takes the steps of a start and of a commit in transactions that are rolled back. */
import { Effect } from "effect"
import { SqlError } from "effect/sql"
import { copyHeader, copyTrailer } from "../../domain/postgres/encode/encodeCopy.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { columnList, qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import { createIndexNow } from "../../domain/postgres/table/tableIndexes.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { textLiteral } from "../../domain/sql/literal.ts"
import { beginTrial } from "../../domain/sql/transaction.ts"
import { type TableTrial, TrialFailed } from "../../services/DatabaseChecks.ts"
import type { PgPipeline, PgPool } from "../../services/PgPool.ts"

/** One statement, and what it is for. */
interface Step {
  readonly purpose: string
  readonly statement: string
  /** It is a COPY, of no rows. */
  readonly copy?: boolean
  /** It returns whether the step would be allowed; this is the reason where it would not. */
  readonly refusal?: string
}

/** Takes the steps in order in one transaction, and rolls it back, also when one fails. */
const tryAll = (pool: PgPool["Service"], steps: ReadonlyArray<Step>): Effect.Effect<void, TrialFailed> =>
  Effect.scoped(Effect.gen(function*() {
    const pipeline = yield* pool.pipeline
    yield* pipeline.send(beginTrial).done
    for (const step of steps) {
      const failed = (reason: string, transient: boolean) => new TrialFailed({ step: step.purpose, reason, transient })
      const { rows } = yield* Effect.mapError(
        take(pipeline, step),
        (error) => failed(withoutPrefix(error.message), isRetryable(error))
      )
      if (step.refusal !== undefined && rows[0]?.[0] !== "t") return yield* failed(step.refusal, false)
    }
    yield* pipeline.send("ROLLBACK").done
  })).pipe(
    Effect.catchIf(
      (error) => error instanceof SqlError.SqlError,
      (error) => new TrialFailed({ step: "use a connection", reason: withoutPrefix(error.message), transient: true })
    )
  )

const take = Effect.fnUntraced(function*(pipeline: PgPipeline, { copy = false, statement }: Step) {
  const answer = pipeline.send(statement, { endsInCopy: copy })
  if (copy) {
    yield* answer.copying
    pipeline.copyData(copyHeader, () => {})
    pipeline.copyData(copyTrailer, () => {})
    pipeline.copyDone()
  }
  return yield* answer.done
})

const withoutPrefix = (message: string): string => message.replace(/^PostgreSQL: /, "")

/** A name that no table and no process has. */
const NOBODY = textLiteral("ampsync doctor")

export const tryBookkeeping = (pool: PgPool["Service"], schema: string, statements: ReadonlyArray<string>) => {
  const of = (table: string) => `${quoteIdentifier(schema)}._ampsync_${table}`
  const written: ReadonlyArray<readonly [table: string, columns: string, values: string, where: string]> = [
    ["checkpoints", "table_name", NOBODY, `table_name = ${NOBODY}`],
    ["watermarks", "table_name, block_num, hash", `${NOBODY}, 0, ''`, `table_name = ${NOBODY}`],
    ["writers", "writer, heartbeat_at", `${NOBODY}, '-infinity'`, `writer = ${NOBODY}`],
    ["states", "table_name, writer, state, since", `${NOBODY}, ${NOBODY}, '', now()`, `table_name = ${NOBODY}`],
    // With an id of its own: a sequence is not rolled back.
    ["reorgs", "table_name, first_block, depth, new_hash, id", `${NOBODY}, 0, 0, '', -1`, `table_name = ${NOBODY}`]
  ]
  return tryAll(pool, [
    ...statements.map((statement) => ({ purpose: "create or extend the bookkeeping", statement })),
    ...written.map(([table, columns, values, where]) => ({
      purpose: `write _ampsync_${table}`,
      statement: `INSERT INTO ${of(table)} (${columns}) OVERRIDING SYSTEM VALUE VALUES (${values}); ` +
        `UPDATE ${of(table)} SET ${columns.split(",")[0]} = ${NOBODY} WHERE ${where}; DELETE FROM ${
          of(table)
        } WHERE ${where}`
    })),
    ...["progress", "latest"].map((view) => ({
      purpose: `read _ampsync_${view}`,
      statement: `SELECT FROM ${of(view)} LIMIT 0`
    }))
  ])
}

export const tryTable = (
  pool: PgPool["Service"],
  schema: string,
  { before, columns, indexes, isPartitioned = false, plan: { kind, statements, table } }: TableTrial
) => {
  const name = qualifiedName({ schema, table })
  const isNew = kind === "create"
  const ownership: ReadonlyArray<Step> = [
    ...(kind === "alter" || indexes.length > 0 || isPartitioned ? [ownershipStep(name)] : []),
    ...(indexes.length > 0 || isPartitioned ? [createStep(schema)] : [])
  ]
  return tryAll(pool, [
    ...(isNew
      ? [
        ...before.map((statement) => ({ purpose: "create the schema", statement })),
        ...statements.map((statement) => ({ purpose: "create the table", statement })),
        ...indexes.map((index, place) => ({
          purpose: `build the index on ${columnList(index)}`,
          statement: createIndexNow({ schema, table }, `ampsync_doctor_${place}`, index)
        }))
      ]
      : ownership),
    {
      purpose: "copy rows into it",
      statement: `COPY ${name} ${columnList(columns)} FROM STDIN (FORMAT BINARY)`,
      copy: true
    },
    { purpose: "delete rows of a reorg from it", statement: `DELETE FROM ${name} WHERE false` },
    { purpose: "read it", statement: `SELECT FROM ${name} LIMIT 0` }
  ])
}

/** As an ALTER would be refused, without its lock. */
const ownershipStep = (name: string): Step => ({
  purpose: "alter it, or make its indexes or partitions",
  statement: `SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = ${textLiteral(name)}::regclass`,
  refusal: `must be owner of table ${name}`
})

const createStep = (schema: string): Step => ({
  purpose: "make its indexes or partitions",
  statement: `SELECT has_schema_privilege(${textLiteral(schema)}, 'CREATE')`,
  refusal: `permission denied for schema ${schema}`
})

export const tryNotify = (pool: PgPool["Service"]) =>
  tryAll(pool, [{ purpose: "send a notification", statement: "SELECT pg_notify('ampsync', '')" }])
