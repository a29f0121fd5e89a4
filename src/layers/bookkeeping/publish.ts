/** Publishes the part of the bookkeeping that followers of the write-ahead log read. */
import { Effect, Result } from "effect"
import type { SqlError } from "effect/sql"
import {
  createPublication,
  type FoundPublication,
  PUBLICATION_OF_TABLE,
  publishingProblem,
  publishTable
} from "../../domain/postgres/table/publication.ts"
import type { RunStatement } from "../../services/PgPool.ts"

/** For consistent reads: the watermarks, and the reorgs. */
const PUBLISHED = ["_ampsync_checkpoints", "_ampsync_reorgs"]

const FOUND = `
  SELECT found.*, has_database_privilege(current_database(), 'CREATE') AS "mayCreate",
    to_regclass(format('%I.%I', $2::text, $3::text)) IS NULL AS "isNew"
  FROM (${PUBLICATION_OF_TABLE}) AS found`

/** Returns the statements, or why this role may not run them, with those for one that may. */
export const publishBookkeeping = Effect.fnUntraced(function*(
  run: RunStatement,
  schema: string,
  publication: string
): Effect.fn.Return<Result.Result<ReadonlyArray<string>, string>, SqlError.SqlError> {
  const statements: Array<string> = []
  for (const table of PUBLISHED) {
    const [row] = yield* run<FoundPublication & { readonly mayCreate: boolean; readonly isNew: boolean }>(
      FOUND,
      [publication, schema, table]
    )
    const { isNew, mayCreate, ...found } = row!
    if (!found.exists && !mayCreate) {
      return Result.fail(
        `CDC_READY needs publication "${publication}", which this role may not create; run as one that may, and make this ` +
          `role its owner: ${createPublication(publication)}`
      )
    }
    if (!found.exists && statements.length === 0) statements.push(createPublication(publication))
    const published = publishTable(publication, { schema, table }, found, isNew)
    const problem = publishingProblem(publication, found, published)
    if (problem !== undefined) return Result.fail(`table ${table}: ${problem}`)
    statements.push(...published)
  }
  return Result.succeed(statements)
})
