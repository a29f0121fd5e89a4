/** What removes rows of a table outside of a chunk: all of them, in steps, or those above the watermark. */
import { Effect, Option, Ref } from "effect"
import type { Known } from "../../domain/chain/follow.ts"
import { quoteIdentifier } from "../../domain/postgres/identifiers.ts"
import { qualifiedName } from "../../domain/postgres/tableDdl.ts"
import { type Checkpoints, type Claim, TableRefused } from "../../services/Checkpoints.ts"
import type { PgPool, RunStatement } from "../../services/PgPool.ts"
import type { Emptying, TableSink } from "../../services/TableSink.ts"

/** Small enough that a transaction lasts a second or so, and that little is lost when it is interrupted. */
const STEP_ROWS = 50_000

const NOTHING: Known = { network: undefined, origin: undefined, history: [], unverifiedFrom: undefined }

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
        yield* record(claim, claim, rowsRemoved, 0n)
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
    const claim = yield* Ref.get(held)
    const { positionColumn, table } = claim
    const nothing = { claim, removed: 0, upTo: yield* Ref.get(last) }
    if (!(yield* exists(table))) return nothing
    const [position, name] = [quoteIdentifier(positionColumn), qualifiedName({ schema, table })]
    // Where the last step ended: an index scan from the start would walk through all that was deleted before.
    const from = nothing.upTo === undefined ? "" : `WHERE ${position} >= ${nothing.upTo}`
    const [gone] = yield* run<{ removed: string; up_to: string | null }>(
      `WITH gone AS (
         DELETE FROM ${name} WHERE ctid = ANY(ARRAY(SELECT ctid FROM ${name} ${from} ORDER BY ${position} LIMIT ${STEP_ROWS}))
         RETURNING ${position} AS position
       ) SELECT count(*) AS removed, max(position) AS up_to FROM gone`
    )
    const removed = Number(gone?.removed ?? 0)
    const left = claim.rows > BigInt(removed) && removed > 0 ? claim.rows - BigInt(removed) : 0n
    const after = yield* record(claim, NOTHING, Number(claim.rows - left), left)
    return { claim: after, removed, upTo: gone?.up_to == null ? nothing.upTo : BigInt(gone.up_to) }
  })

  /** Fails as a whole where the right to write is gone. */
  const record = (claim: Claim, known: Known, rowsRemoved: number, provisionalRows: bigint) =>
    checkpoints.advance(claim, { known, reorgs: [], rowsAdded: 0, provisionalRows, blockTimestamp: undefined }).pipe(
      Effect.flatMap((advanced) => checkpoints.recount(advanced, { rowsRemoved, provisionalRows }))
    )

  return { trim, empty }
}
