/** What `PgPool` needs of connections: those of the program itself, or of a host program. */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { SqlError } from "effect/sql"
import type { HostPool } from "../../services/HostPool.ts"
import { requireUtf8 } from "./encoding.ts"
import { lease, type SessionOptions, unknownServer } from "./lease.ts"
import type { PooledConnection } from "./PooledConnection.ts"

type Connectable = Pick<HostPool, "connect">

/** A source of connections, one of which has proved to work. */
export interface Connections {
  /** Takes a connection out of the pool until the scope closes. */
  readonly lease: (session: SessionOptions) => Effect.Effect<PooledConnection, SqlError.SqlError, Scope.Scope>
  /** A pool of one connection outside of the pool, to the same database as the same role. */
  readonly newPool: Effect.Effect<Connectable, never, Scope.Scope>
  /** The peer is PostgreSQL itself, not a pooler. */
  readonly isDirect: boolean
  /** Most connections that `lease` lends at once; at least 2. */
  readonly maxConnections: number
  /** Name of the database, for traces. */
  readonly database: string
}

/** Opens a connection and returns whether its peer is PostgreSQL itself. Fails where the database stores no UTF-8. */
export const tryOut = (pool: Connectable, stallMillis: number): Effect.Effect<boolean, SqlError.SqlError> =>
  Effect.scoped(
    Effect.flatMap(
      Effect.tap(lease(pool, unknownServer(stallMillis)), requireUtf8),
      (connection) => connection.isDirect
    )
  )
