/** Compares a table with what followers of the write-ahead log need of it. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import {
  type FoundPublication,
  missedChanges,
  PUBLICATION_OF_TABLE,
  publishingProblem,
  publishTable
} from "../../domain/postgres/table/publication.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import { TableRejected } from "../../services/TableLeases.ts"

export interface ExaminedPublication {
  readonly statements: ReadonlyArray<string>
  readonly notes: ReadonlyArray<string>
}

/** Plans the statements after which the table is published; fails where this role may not run them. Changes nothing. */
export const examinePublication = Effect.fnUntraced(function*(
  run: RunStatement,
  { schema, table }: { readonly schema: string; readonly table: string },
  publication: string | undefined,
  isNew: boolean
): Effect.fn.Return<ExaminedPublication, SqlError.SqlError | TableRejected> {
  if (publication === undefined) return { statements: [], notes: [] }
  const [found] = yield* run<FoundPublication>(PUBLICATION_OF_TABLE, [publication, schema, table])
  const statements = publishTable(publication, { schema, table }, found!, isNew)
  const reason = publishingProblem(publication, found!, statements)
  if (reason !== undefined) return yield* new TableRejected({ table, reason })
  const missed = missedChanges(publication, found!)
  return {
    statements,
    notes: [
      ...(statements.length === 0
        ? []
        : [`published in "${publication}", with all columns of deleted rows in the log`]),
      ...(missed === undefined ? [] : [missed])
    ]
  }
})
