import { Effect, Layer, Ref } from "effect"
import type { Chunk } from "../domain/chain/Chunk.ts"
import { copyColumns, copyHeader, copyTrailer, makeCopyPlan } from "../domain/postgres/encodeCopy.ts"
import { quoteIdentifier } from "../domain/postgres/identifiers.ts"
import { planColumns } from "../domain/postgres/PgType.ts"
import type { PgColumn } from "../domain/postgres/PgType.ts"
import { choosePosition } from "../domain/postgres/position.ts"
import type { TableDefinition } from "../domain/postgres/tableDdl.ts"
import { alterTable, compareTable, createTable, qualifiedName, RANGE_END } from "../domain/postgres/tableDdl.ts"
import type { Claim } from "../services/Checkpoints.ts"
import { Checkpoints, TableRefused } from "../services/Checkpoints.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { PgPool } from "../services/PgPool.ts"
import type { TableRequest } from "../services/TableSink.ts"
import { TableSink } from "../services/TableSink.ts"

const EXISTING_COLUMNS = `
  SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

/** What is in the way of a table of this name, of whatever kind: views and indexes share its namespace. */
const RELATION = `
  SELECT c.relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2`

const HAS_LZ4 = "SELECT 'lz4' = ANY(enumvals) AS lz4 FROM pg_settings WHERE name = 'default_toast_compression'"

/** `TableSink` by binary COPY straight into the table. */
const make = Effect.gen(function*() {
  const { databaseSchema, notifyOnCommit, textNul } = yield* AmpsyncConfig
  const pool = yield* PgPool
  const checkpoints = yield* Checkpoints
  const run = <Row extends object>(statement: string, params: ReadonlyArray<unknown> = []) =>
    pool.sql.unsafe<Row>(statement, [...params])
  const hasLz4 = run<{ lz4: boolean }>(HAS_LZ4).pipe(Effect.map(([row]) => row?.lz4 === true))

  const prepare = Effect.fn("TableSink.prepare")(function*(request: TableRequest) {
    const columns = yield* Effect.fromResult(planColumns(request.schema)).pipe(
      Effect.mapError((error) => new TableRefused({ table: request.table, reason: error.message }))
    )
    const position = yield* Effect.fromResult(choosePosition(columns)).pipe(
      Effect.mapError((reason) => new TableRefused({ table: request.table, reason }))
    )
    const definition = { schema: databaseSchema, table: request.table, columns, positionColumn: position.column }
    const taken = yield* pool.transaction(
      checkpoints.activity(request.table),
      Effect.gen(function*() {
        const claim = yield* checkpoints.claim({ ...request, positionColumn: position.column })
        return yield* fit(definition, claim)
      })
    ).pipe(
      // Somebody holds the checkpoint's row: end it if it is a session that hangs, and come back either way.
      Effect.tapErrorTag("SqlError", (error) =>
        error.reason._tag === "LockTimeoutError" ? Effect.ignore(checkpoints.evictStale(request.table)) : Effect.void)
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
  const fit = Effect.fnUntraced(function*(definition: TableDefinition & { columns: ReadonlyArray<PgColumn> }, claim: Claim) {
    const { positionColumn, schema, table } = definition
    const refuse = (reason: string) => new TableRefused({ table, reason })
    const [relation] = yield* run<{ kind: string }>(RELATION, [schema, table])
    if (relation === undefined) {
      const statements = createTable(definition, yield* hasLz4)
      yield* Effect.forEach(statements, (statement) => run(statement), { discard: true })
      if (claim.isNew) return { claim, notes: [`created with columns ${definition.columns.map((_) => _.name).join(", ")}`] }
      return {
        claim: yield* checkpoints.forget({ ...claim, positionColumn }),
        notes: ["the table was gone although it had a checkpoint; created again, it starts from the first block"]
      }
    }
    if (claim.isNew || !/^[rp]$/.test(relation.kind)) {
      return yield* refuse("something of this name exists that ampsync did not create; it is left alone")
    }
    if (claim.positionColumn !== positionColumn) {
      return yield* refuse(`its rows are placed by column "${claim.positionColumn}", which the query no longer yields`)
    }
    const existing = yield* run<{ name: string; type: string; nullable: boolean }>(EXISTING_COLUMNS, [schema, table])
    const difference = compareTable(definition, existing)
    const { added, conflicts } = difference
    if (conflicts.length > 0) return yield* refuse(`the query no longer fits it: ${conflicts.join("; ")}`)
    const statement = alterTable(definition, difference, yield* hasLz4)
    if (statement !== undefined) yield* run(statement)
    return { claim, notes: evolutionNotes(added.map((_) => _.name), claim) }
  })

  const commit = (definition: TableDefinition, copy: string, held: Ref.Ref<Claim>, chunk: Chunk) =>
    pool.transaction(checkpoints.activity(definition.table), applyChunk(definition, copy, held, chunk)).pipe(
      Effect.tap(({ claim }) => Ref.set(held, claim)),
      Effect.map(({ rowsRemoved }) => ({ rowsRemoved }))
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
    if (notifyOnCommit) yield* run("SELECT pg_notify('ampsync', $1)", [notification(definition.table, chunk, rowsRemoved)])
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

  return TableSink.of({ prepare })
})

export const layer: Layer.Layer<TableSink, never, Checkpoints | PgPool | AmpsyncConfig> = Layer.effect(TableSink, make)

const copyStatement = (definition: TableDefinition, columns: ReadonlyArray<string>): string =>
  `COPY ${qualifiedName(definition)} (${columns.map(quoteIdentifier).join(", ")}) FROM STDIN (FORMAT BINARY)`

const evolutionNotes = (added: ReadonlyArray<string>, claim: Claim): ReadonlyArray<string> => {
  const columns = added.length === 0 ? [] : [`added columns ${added.join(", ")}, empty in rows of earlier blocks`]
  const query = claim.earlierFingerprint === undefined || claim.history.length === 0
    ? []
    : [`its query changed: rows up to block ${claim.history.at(-1)?.block} were made by the earlier one`]
  return [...columns, ...query]
}

/** Shape: `{"table","kind":"rows"|"watermark"|"reorg","from","to","rows","removed"}`; blocks as decimal numbers. */
const notification = (table: string, chunk: Chunk, removed: number): string => {
  const kind = chunk.reorgs.length > 0 ? "reorg" : chunk.rows > 0 ? "rows" : "watermark"
  const from = chunk.reorgs[0]?.firstBlock ?? chunk.firstBlock
  const number = (block: bigint | undefined) => (block === undefined ? null : Number(block))
  return JSON.stringify({ table, kind, from: number(from), to: number(chunk.lastBlock), rows: chunk.rows, removed })
}
