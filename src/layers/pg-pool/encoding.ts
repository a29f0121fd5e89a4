/** The check of the database's encoding. */
import { Effect } from "effect"
import { SqlError } from "effect/sql"
import type { PooledConnection } from "./PooledConnection.ts"

/** Fails where the database cannot store every text: the first emoji would stop a table. */
export const requireUtf8 = Effect.fnUntraced(function*(connection: PooledConnection) {
  const [row] = yield* connection.execute(
    "SELECT current_setting('server_encoding') AS encoding, quote_ident(current_database()) AS name",
    [],
    undefined
  )
  const { encoding, name } = row as { readonly encoding: string; readonly name: string }
  if (encoding === "UTF8") return
  return yield* new SqlError.SqlError({
    reason: new SqlError.AuthorizationError({
      message: `PostgreSQL: database ${name} has the encoding ${encoding}, which cannot store every text; ` +
        "use a database that is created by: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
      operation: "connect",
      cause: `server_encoding ${encoding}`
    })
  })
})
