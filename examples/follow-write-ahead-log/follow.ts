/**
 * Follows the tables that ampsync publishes: what they have already, then every transaction of PostgreSQL's write-ahead log.
 *
 * Needs `CDC_READY` of ampsync, `wal_level = logical`, and a role with REPLICATION that may read the tables.
 */
import { Client, type ClientConfig, escapeIdentifier, escapeLiteral } from "pg"
import { LogicalReplicationService, type Pgoutput, PgoutputPlugin } from "pg-logical-replication"

/** Rows that are copied at once. */
const COPIED_ROWS = 1_000
/** PostgreSQL ends a connection that it has not heard of for `wal_sender_timeout`, a minute by default. */
const REPLY_MILLIS = 10_000

export type Row = Readonly<Record<string, unknown>>

/** One change of one table; with `REPLICA IDENTITY FULL`, `old` of an update or a deletion is the whole row that there was. */
export type Change =
  | Pgoutput.MessageInsert
  | Pgoutput.MessageUpdate
  | Pgoutput.MessageDelete
  | Pgoutput.MessageTruncate

export interface Options {
  readonly url: string
  /** `ampsync` with CDC_READY=logical, electric_publication_default with CDC_READY=electric. */
  readonly publication: string
  /** Remembers on the server how far this follower is; each follower has one of its own. Made where it is missing. */
  readonly slot: string
}

/** What is done with rows and changes. The next call comes when the promise of the one before has resolved. */
export interface Follower {
  /** Rows of a table as they were when the slot was made. A copy that was interrupted begins again, with the first table. */
  readonly copied: (table: string, rows: ReadonlyArray<Row>) => Promise<void>
  /**
   * All changes of one transaction. Once the promise has resolved it is acknowledged, and not before, so after a crash it
   * may come again: keep `position` together with what you make of the changes, and skip what is not after it.
   */
  readonly committed: (changes: ReadonlyArray<Change>, position: string) => Promise<void>
}

/** Follows until `signal` is aborted; fails where the connection ends or the follower fails, and may be called again then. */
export const follow = async (options: Options, follower: Follower, signal: AbortSignal): Promise<void> => {
  const client = new Client({ connectionString: options.url })
  await client.connect()
  let position: string
  try {
    position = (await positionOf(options, client)) ?? (await copy(options, client, follower, signal))
  } finally {
    await client.end()
  }
  if (!signal.aborted) await receive(options, position, follower, signal)
}

/** What the slot has acknowledged; undefined where there is no slot yet. */
const positionOf = async ({ slot }: Options, client: Client): Promise<string | undefined> => {
  const { rows } = await client.query<{ position: string }>(
    "SELECT confirmed_flush_lsn::text AS position FROM pg_replication_slots WHERE slot_name = $1",
    [slot]
  )
  return rows[0]?.position
}

/**
 * Hands over the rows that there are, and makes the slot that begins exactly behind them; returns its position.
 *
 * A temporary slot comes with a snapshot of the moment from which it follows. It becomes the slot once all rows are copied, so
 * that a copy which was interrupted leaves nothing behind.
 */
const copy = async (
  { publication, slot, url }: Options,
  client: Client,
  follower: Follower,
  signal: AbortSignal
): Promise<string> => {
  const publications = await client.query("SELECT FROM pg_publication WHERE pubname = $1", [publication])
  if (publications.rowCount === 0) {
    throw new Error(`publication "${publication}" does not exist; start ampsync with CDC_READY first`)
  }
  // The types of pg do not know the option.
  const config: ClientConfig & { readonly replication: "database" } = { connectionString: url, replication: "database" }
  const replication = new Client(config)
  await replication.connect()
  try {
    const temporary = `${slot}_copy`
    const { rows: [made] } = await replication.query<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${escapeIdentifier(temporary)} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`
    )
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    await client.query(`SET TRANSACTION SNAPSHOT ${escapeLiteral(made!.snapshot_name)}`)
    const { rows: tables } = await client.query<{ schemaname: string; tablename: string }>(
      "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = $1 ORDER BY 1, 2",
      [publication]
    )
    for (const { schemaname, tablename } of tables) {
      const name = `${escapeIdentifier(schemaname)}.${escapeIdentifier(tablename)}`
      await client.query(`DECLARE copied CURSOR FOR SELECT * FROM ${name}`)
      for (;;) {
        signal.throwIfAborted()
        const { rows } = await client.query<Row>(`FETCH ${COPIED_ROWS} FROM copied`)
        if (rows.length === 0) break
        await follower.copied(tablename, rows)
      }
      await client.query("CLOSE copied")
    }
    await client.query("COMMIT")
    await client.query("SELECT pg_copy_logical_replication_slot($1, $2, false)", [temporary, slot])
    return made!.consistent_point
  } finally {
    await replication.end()
  }
}

/** As that of the package, without an option that PostgreSQL 13 does not have. */
class Plugin extends PgoutputPlugin {
  override start(client: Client, slot: string, position: string) {
    const publications = escapeLiteral(this.options.publicationNames.map(escapeIdentifier).join(","))
    return client.query(
      `START_REPLICATION SLOT ${
        escapeIdentifier(slot)
      } LOGICAL ${position} (proto_version '1', publication_names ${publications})`
    )
  }
}

/** Receives transactions from `position` on. */
const receive = (options: Options, position: string, follower: Follower, signal: AbortSignal): Promise<void> =>
  new Promise<void>((resolve, reject) => {
    // Acknowledged is what the follower has taken, not what has arrived.
    const service = new LogicalReplicationService({ connectionString: options.url }, {
      acknowledge: { auto: false, timeoutSeconds: 0 },
      flowControl: { enabled: true }
    })
    let acknowledged = position
    let changes: Array<Change> = []
    const acknowledge = () => service.acknowledge(before(acknowledged))
    const replies = setInterval(() => void acknowledge(), REPLY_MILLIS)
    const end = (failure?: unknown) => {
      clearInterval(replies)
      signal.removeEventListener("abort", stop)
      // Without this the service would go on with the transaction after the one that failed.
      service.destroy().catch(() => {}).then(() => failure === undefined ? resolve() : reject(failure))
    }
    const stop = () => end()
    signal.addEventListener("abort", stop, { once: true })
    service.on("error", end)
    service.on("data", async (_: string, message: Pgoutput.Message) => {
      if (message.tag === "begin") changes = []
      if (["insert", "update", "delete", "truncate"].includes(message.tag)) changes.push(message as Change)
      if (message.tag !== "commit") return
      await follower.committed(changes, message.commitEndLsn!)
      acknowledged = message.commitEndLsn!
      await acknowledge()
    })
    const plugin = new Plugin({ protoVersion: 1, publicationNames: [options.publication] })
    service.subscribe(plugin, options.slot).then(stop, end)
  })

/**
 * The position one byte before `position`.
 *
 * The service adds one to what it is given. Where the next transaction's commit begins exactly at `position`, that would
 * acknowledge it as well, and PostgreSQL would never send it again.
 */
const before = (position: string): string => {
  const [high, low] = position.split("/").map((part) => BigInt(`0x${part}`))
  const number = ((high! << 32n) | low!) - 1n
  return `${(number >> 32n).toString(16)}/${(number & 0xffffffffn).toString(16)}`
}
