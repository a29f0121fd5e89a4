import { Effect, Layer, Ref } from "effect"
import { SqlError } from "effect/sql"
import type { Chunk } from "../domain/chain/Chunk.ts"
import { keyProblems, sameColumns } from "../domain/postgres/compareTable.ts"
import { copyColumns, copyHeader, copyTrailer, makeCopyPlan } from "../domain/postgres/encodeCopy.ts"
import { quoteIdentifier } from "../domain/postgres/identifiers.ts"
import { planColumns } from "../domain/postgres/PgType.ts"
import { choosePosition } from "../domain/postgres/position.ts"
import type { TableDefinition } from "../domain/postgres/tableDdl.ts"
import { columnList, qualifiedName, RANGE_END, rowKey, systemColumns } from "../domain/postgres/tableDdl.ts"
import { noSettings } from "../domain/TableSettings.ts"
import type { Claim, Fenced } from "../services/Checkpoints.ts"
import { Checkpoints, TableRefused } from "../services/Checkpoints.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { PgPool } from "../services/PgPool.ts"
import type { TableRequest } from "../services/TableSink.ts"
import { TableSink } from "../services/TableSink.ts"
import { examineTable } from "./table-sink/examineTable.ts"
import { makeRemoval } from "./table-sink/removeRows.ts"

/** `TableSink` by binary COPY straight into the table. */
const make = Effect.gen(function*() {
  const { databaseSchema, notifyOnCommit, textNul } = yield* AmpsyncConfig
  const pool = yield* PgPool
  const checkpoints = yield* Checkpoints
  const run = <Row extends object>(statement: string, params: ReadonlyArray<unknown> = []) =>
    pool.sql.unsafe<Row>(statement, [...params])

  /** What the query's columns make of the table. */
  const design = Effect.fnUntraced(function*(request: TableRequest) {
    const { settings = noSettings, table } = request
    const columns = yield* Effect.fromResult(planColumns(request.schema, settings.columns)).pipe(
      Effect.mapError((error) => new TableRefused({ table, reason: error.message }))
    )
    const position = yield* Effect.fromResult(choosePosition(columns)).pipe(
      Effect.mapError((reason) => new TableRefused({ table, reason }))
    )
    const { column: positionColumn } = position
    const problems = keyProblems(columns, positionColumn, settings)
    if (problems.length > 0) return yield* new TableRefused({ table, reason: problems.join("; ") })
    const { comment } = settings
    const isOwnKey = settings.primaryKey !== undefined && !sameColumns(settings.primaryKey, rowKey(positionColumn))
    const primaryKey = isOwnKey ? settings.primaryKey : undefined
    const definition = { schema: databaseSchema, table, columns, positionColumn, primaryKey, comment }
    const made = [...columns, ...systemColumns(positionColumn)].map(({ name }) => name)
    return { columns, position, definition, identity: { ...request, positionColumn, columns: made } }
  })

  const plan = Effect.fn("TableSink.plan")(function*(request: TableRequest) {
    const { definition, identity } = yield* design(request)
    const examined = yield* examineTable(run, definition, yield* checkpoints.look(identity))
    const { indexed, kind, notes, statements, table } = examined
    return { table, kind, statements, indexed, notes }
  })

  const prepare = Effect.fn("TableSink.prepare")(function*(request: TableRequest) {
    const { columns, definition, identity, position } = yield* design(request)
    const taken = yield* pool.transaction(
      checkpoints.activity(request.table),
      Effect.gen(function*() {
        const claim = yield* checkpoints.claim(identity)
        return yield* fit(definition, claim)
      })
    ).pipe(
      // Somebody holds the checkpoint's row: end it if it is a session that hangs, and come back either way.
      Effect.tapErrorTag(
        "SqlError",
        (error) =>
          error.reason._tag === "LockTimeoutError" ? Effect.ignore(checkpoints.evictStale(request.table)) : Effect.void
      )
    )
    const plan = makeCopyPlan({ columns, position: position.position, textNul })
    const claim = yield* Ref.make(taken.claim)
    return {
      plan,
      rangeMode: position.column === RANGE_END,
      known: taken.claim,
      rows: taken.claim.rows,
      notes: taken.notes,
      commit: (chunk: Chunk) => commit(definition, copyStatement(definition, copyColumns(plan)), claim, chunk)
    }
  })

  /** Creates the table, or checks that the one that is there is ours and fits. */
  const fit = Effect.fnUntraced(function*(definition: TableDefinition, claim: Claim) {
    const { notes, startsAgain, statements } = yield* examineTable(run, definition, claim)
    yield* Effect.forEach(statements, (statement) => run(statement), { discard: true })
    const { positionColumn } = definition
    return { claim: startsAgain ? yield* checkpoints.forget({ ...claim, positionColumn }, 0n) : claim, notes }
  })

  const commit = (definition: TableDefinition, copy: string, held: Ref.Ref<Claim>, chunk: Chunk) =>
    pool.transaction(checkpoints.activity(definition.table), applyChunk(definition, copy, held, chunk)).pipe(
      Effect.tap(({ claim }) => Ref.set(held, claim)),
      Effect.map(({ rowsRemoved }) => ({ rowsRemoved })),
      Effect.mapError((error) => duplicateKey(definition, chunk, error) ?? changedSince(error))
    )

  /** Invariant I1: all of it in the one transaction that surrounds it. */
  const applyChunk = Effect.fnUntraced(function*(
    definition: TableDefinition,
    copy: string,
    held: Ref.Ref<Claim>,
    chunk: Chunk
  ) {
    const before = yield* Ref.get(held)
    const watermark = chunk.known.history.at(-1)
    const advanced = watermark !== undefined && watermark.block > (before.history.at(-1)?.block ?? -1n)
    const provisional = advanced || chunk.deleteFrom !== undefined
      ? BigInt(chunk.openRows)
      : before.provisionalRows + BigInt(chunk.openRows)
    let claim = yield* checkpoints.advance(before, {
      known: chunk.known,
      reorgs: chunk.reorgs,
      rowsAdded: chunk.rows,
      provisionalRows: provisional,
      blockTimestamp: chunk.completed?.timestamp
    })
    const rowsRemoved = chunk.deleteFrom === undefined ? 0 : yield* remove(definition, chunk.deleteFrom)
    if (chunk.rows > 0) yield* pool.copyIn(copy, [copyHeader, ...chunk.pieces, copyTrailer])
    if (chunk.deleteFrom !== undefined) {
      const provisionalRows = yield* countAbove(definition, watermark?.block)
      claim = yield* checkpoints.recount(claim, { rowsRemoved, provisionalRows })
    }
    if (notifyOnCommit) {
      yield* run("SELECT pg_notify('ampsync', $1)", [notification(definition.table, chunk, rowsRemoved)])
    }
    return { claim, rowsRemoved }
  })

  const remove = Effect.fnUntraced(function*(definition: TableDefinition, from: bigint | "all") {
    const where = from === "all" ? "" : ` WHERE ${quoteIdentifier(definition.positionColumn)} >= ${from}`
    const result = yield* run(`DELETE FROM ${qualifiedName(definition)}${where}`).raw
    return (result as { rowCount: number | null }).rowCount ?? 0
  })

  const countAbove = Effect.fnUntraced(function*(definition: TableDefinition, block: bigint | undefined) {
    const where = block === undefined ? "" : ` WHERE ${quoteIdentifier(definition.positionColumn)} > ${block}`
    const [row] = yield* run<{ n: string }>(`SELECT count(*) AS n FROM ${qualifiedName(definition)}${where}`)
    return BigInt(row?.n ?? 0)
  })

  return TableSink.of({ prepare, plan, ...makeRemoval(run, pool, checkpoints, databaseSchema) })
})

export const layer: Layer.Layer<TableSink, never, Checkpoints | PgPool | AmpsyncConfig> = Layer.effect(TableSink, make)

/**
 * The statements of a commit were right when the table was prepared. If they no longer are, somebody changed or dropped it:
 * preparing it again makes it anew, or refuses it with all reasons.
 */
const changedSince = (error: SqlError.SqlError | Fenced): SqlError.SqlError | Fenced =>
  error._tag === "SqlError" && error.reason._tag === "SqlSyntaxError"
    ? new SqlError.SqlError({
      reason: new SqlError.ConnectionError({
        message: `the table was changed or dropped while it was synced: ${error.reason.message ?? ""}`,
        operation: "COPY",
        cause: error.reason.cause
      })
    })
    : error

/**
 * A row that has the primary key of another one, where the config gave the table that key. No retry changes it; the chunk's
 * deletion, which precedes its rows, has had its chance.
 */
const duplicateKey = (
  { positionColumn, primaryKey, table }: TableDefinition,
  { firstBlock, lastBlock }: Chunk,
  error: SqlError.SqlError | Fenced
): TableRefused | undefined => {
  if (primaryKey === undefined || error._tag !== "SqlError" || error.reason._tag !== "UniqueViolation") return undefined
  const blocks = `${positionColumn === RANGE_END ? "the range of " : ""}blocks ${firstBlock} to ${lastBlock}`
  return new TableRefused({
    table,
    reason: `in ${blocks} a row has a key that another row has already (${error.reason.constraint}); ` +
      `the config makes ${columnList(primaryKey)} its primary key`
  })
}

const copyStatement = (definition: TableDefinition, columns: ReadonlyArray<string>): string =>
  `COPY ${qualifiedName(definition)} (${columns.map(quoteIdentifier).join(", ")}) FROM STDIN (FORMAT BINARY)`

/** Shape: `{"table","kind":"rows"|"watermark"|"reorg","from","to","rows","removed"}`; blocks as decimal numbers. */
const notification = (table: string, chunk: Chunk, removed: number): string => {
  const kind = chunk.reorgs.length > 0 ? "reorg" : chunk.rows > 0 ? "rows" : "watermark"
  const from = chunk.reorgs[0]?.firstBlock ?? chunk.firstBlock
  const number = (block: bigint | undefined) => (block === undefined ? null : Number(block))
  return JSON.stringify({ table, kind, from: number(from), to: number(chunk.lastBlock), rows: chunk.rows, removed })
}
