/** What a session of PostgreSQL reports of its server, its role and itself. */

export interface ServerFacts {
  /** `18.4`. */
  readonly version: string
  /** `180004`. */
  readonly versionNumber: number
  readonly encoding: string
  readonly database: string
  readonly role: string
  readonly isSuperuser: boolean
  readonly isStandby: boolean
  readonly isReadOnly: boolean
  /** Undefined where the server does not report it, as to a pooler's client. */
  readonly tlsVersion: string | undefined
  /** Sessions of the whole server now. */
  readonly sessions: number
  readonly maxConnections: number
  /** Connections that this role may not use. */
  readonly reservedConnections: number
  /** Undefined where there is none. */
  readonly roleConnections: number | undefined
  readonly databaseConnections: number | undefined
  /** Settings as a new session of this role has them, by name; times in milliseconds, 0 for no limit. */
  readonly timeouts: ReadonlyMap<string, number>
  readonly synchronousCommit: string
  readonly fsync: boolean
  readonly walLevel: string
  readonly databaseBytes: number | undefined
  /** Unix milliseconds of the server's clock less those of ours. */
  readonly clockAheadMillis: number
  /** The server's answer took that long, so the difference of the clocks is uncertain by half of it. */
  readonly roundTripMillis: number
}
