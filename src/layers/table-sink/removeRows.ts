/** What removes rows of a table outside of a chunk: all of them, in steps, or those above the watermark. */
import { Effect, Option, Ref } from "effect"
import { quoteIdentifier } from "../../domain/postgres/identifiers.ts"
import { qualifiedName } from "../../domain/postgres/tableDdl.ts"
import { type Advance, type Checkpoints, type Claim, TableRefused } from "../../services/Checkpoints.ts"
import type { PgPool, RunStatement } from "../../services/PgPool.ts"
import type { Emptying, TableSink } from "../../services/TableSink.ts"

/** Small enough that a transaction lasts a second or so, and that little is lost when it is interrupted. */
const STEP_ROWS = 50_000

/** Nothing is known of the chain, and nothing is added. */
const NOTHING: Omit<Advance, "provisionalRows"> = {
  known: { network: undefined, origin: undefined, history: [], unverifiedFrom: undefined },
  reorgs: [],
  rowsAdded: 0,
  blockTimestamp: undefined
}

export const makeRemoval = (
  run: RunStatement,
  pool: PgPool["Service"],
  checkpoints: Checkpoints["Service"],
  schema: string
): Pick<TableSink["Service"], "trim" | "empty"> => {
  /** Takes the right to write a table as what it is recorded, and does `work` in the same transaction. */
  const claiming = <A, E>(table: string, work: (claim: Claim) => Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      const identity = yield* checkpoints.recorded(table)
      if (Option.isNone(identity)) {
        return yield* new TableRefused({
          table,
          reason: `schema "${schema}" has no checkpoint of it, so nothing syncs it`
        })
      }
      return yield* pool.transaction(
        checkpoints.activity(table),
        Effect.flatMap(checkpoints.claim(identity.value), work)
      )
    })

  const exists = (table: string) =>
    run<{ exists: boolean }>("SELECT to_regclass($1) IS NOT NULL AS exists", [qualifiedName({ schema, table })]).pipe(
      Effect.map(([row]) => row?.exists === true)
    )

  const trim = Effect.fn("TableSink.trim")(function*(table: string) {
    return yield* claiming(table, (claim) =>
      Effect.gen(function*() {
        if (!(yield* exists(table))) return 0
        const watermark = claim.history.at(-1)?.block
        const where = watermark === undefined ? "" : ` WHERE ${quoteIdentifier(claim.positionColumn)} > ${watermark}`
        const result = yield* pool.sql.unsafe(`DELETE FROM ${qualifiedName({ schema, table })}${where}`).raw
        const rowsRemoved = (result as { rowCount: number | null }).rowCount ?? 0
        yield* checkpoints.recount(claim, { rowsRemoved, provisionalRows: 0n })
        return rowsRemoved
      })).pipe(Effect.ensuring(Effect.ignore(checkpoints.release(table))))
  })

  const empty = Effect.fn("TableSink.empty")(function*(table: string) {
    const { before, claim } = yield* claiming(
      table,
      (before) => Effect.map(checkpoints.forget(before, before.rows), (claim) => ({ before, claim }))
    )
    const held = yield* Ref.make(claim)
    const last = yield* Ref.make<bigint | undefined>(undefined)
    const emptying: Emptying = {
      watermark: before.history.at(-1)?.block,
      rows: before.rows,
      deleteSome: pool.transaction(checkpoints.activity(table), deleteStep(held, last)).pipe(
        Effect.tap(({ claim, upTo }) => Effect.andThen(Ref.set(held, claim), Ref.set(last, upTo))),
        Effect.map(({ removed }) => removed)
      )
    }
    return emptying
  })

  const deleteStep = Effect.fnUntraced(function*(held: Ref.Ref<Claim>, last: Ref.Ref<bigint | undefined>) {
    const before = yield* Ref.get(held)
    const { positionColumn, provisionalRows, table } = before
    const upTo = yield* Ref.get(last)
    // Before it deletes: whoever lost the right to write must neither wait for the rows of whoever has it, nor hold them.
    const claim = yield* checkpoints.advance(before, { ...NOTHING, provisionalRows })
    const { deletedUpTo, removed } = (yield* exists(table))
      ? yield* deleteFrom(table, positionColumn, upTo)
      : { removed: 0n, deletedUpTo: undefined }
    const left = claim.rows > removed && removed > 0n ? claim.rows - removed : 0n
    const after = yield* checkpoints.recount(claim, { rowsRemoved: Number(claim.rows - left), provisionalRows: left })
    return { claim: after, removed: Number(removed), upTo: deletedUpTo ?? upTo }
  })

  /** `upTo` is where the last step ended: an index scan from the start would walk through all that was deleted before. */
  const deleteFrom = Effect.fnUntraced(function*(table: string, positionColumn: string, upTo: bigint | undefined) {
    const [position, name] = [quoteIdentifier(positionColumn), qualifiedName({ schema, table })]
    const from = upTo === undefined ? "" : `WHERE ${position} >= ${upTo}`
    const pick = `SELECT tableoid, ctid, ${position} AS position FROM ${name} ${from} ORDER BY 3 LIMIT ${STEP_ROWS}`
    // A row has its place, the ctid, to itself only in its partition.
    const [gone] = yield* run<{ removed: string; up_to: string | null }>(
      `WITH picked AS MATERIALIZED (${pick}), gone AS (
         DELETE FROM ${name} t WHERE ctid = ANY(ARRAY(SELECT ctid FROM picked))
           AND EXISTS (SELECT FROM picked WHERE picked.tableoid = t.tableoid AND picked.ctid = t.ctid)
         RETURNING 1
       ) SELECT (SELECT count(*) FROM gone) AS removed, (SELECT max(position) FROM picked) AS up_to`
    )
    return { removed: BigInt(gone!.removed), deletedUpTo: gone!.up_to === null ? undefined : BigInt(gone!.up_to) }
  })

  return { trim, empty }
}
