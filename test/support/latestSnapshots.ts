/** Checks while a sync runs that up to the block of `_ampsync_latest` all tables show one chain, in every snapshot. */
import { type Cause, Effect, Schedule, type Scope } from "effect"
import { Client } from "pg"
import { RANGE_END } from "../../src/domain/postgres/table/tableDdl.ts"
import { blockAt } from "../../src/simulator/forks.ts"
import type { TableName } from "../../src/simulator/tables.ts"
import { sessionOptions } from "./cluster.ts"
import { type Chains, endOf, type Observation } from "./snapshots.ts"
import type { Queries, World } from "./world.ts"

interface ReadTable {
  readonly query: string
  readonly hash: string
  readonly position: string
  readonly rows: (number: bigint, rows: Readonly<Record<TableName, number>>) => number
}

const position = "_block_num"

/** Tables of different density, and one without the block of its rows. */
const TABLES: Readonly<Record<string, ReadTable>> = {
  blocks: { query: "SELECT * FROM anvil.blocks", hash: "hash", position, rows: () => 1 },
  transactions: {
    query: "SELECT _block_num, block_hash, tx_hash FROM anvil.transactions",
    hash: "block_hash",
    position,
    rows: (_, { transactions }) => transactions
  },
  sparse: {
    query: "SELECT _block_num, block_hash, log_index FROM anvil.logs WHERE _block_num % 5 = 0",
    hash: "block_hash",
    position,
    rows: (number, { logs }) => number % 5n === 0n ? logs : 0
  },
  by_range: {
    query: "SELECT block_hash, log_index FROM anvil.logs",
    hash: "block_hash",
    position: RANGE_END,
    rows: (_, { logs }) => logs
  }
}

export const readQueries: Queries = Object.fromEntries(Object.entries(TABLES).map(([name, { query }]) => [name, query]))

/** Per table: how many rows have the hash of a block. */
type Seen = ReadonlyMap<string, ReadonlyMap<string, number>>

interface Latest {
  readonly block: bigint
  readonly hash: string
}

const connect = ({ database }: World) =>
  Effect.acquireRelease(
    Effect.tryPromise(async () => {
      const client = new Client({ connectionString: database.url, options: sessionOptions(database.schema) })
      client.on("error", () => undefined)
      await client.connect()
      return client
    }),
    // The server may be gone.
    (client) => Effect.promise(() => client.end().catch(() => undefined))
  )

/** Several statements of one transaction, with commits of the sync in between. */
const read = async (client: Client): Promise<{ readonly latest: Latest; readonly seen: Seen } | undefined> => {
  const tables = Object.entries(TABLES)
  const present = await client.query("SELECT to_regclass('_ampsync_latest') IS NOT NULL AS present")
  if (present.rows[0]?.present !== true) return undefined
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
  try {
    const { rows: [found] } = await client.query<{ block_num: string; hash: string }>(
      "SELECT block_num, hash FROM _ampsync_latest WHERE tables @> $1",
      [tables.map(([name]) => name)]
    )
    if (found === undefined) return undefined
    const seen = new Map<string, ReadonlyMap<string, number>>()
    for (const [name, { hash, position }] of tables) {
      await new Promise((resolve) => setTimeout(resolve, 3))
      const { rows } = await client.query<{ hash: string; rows: string }>(
        `SELECT '0x' || encode(${hash}, 'hex') AS hash, count(*) AS rows FROM ${name} WHERE ${position} <= $1 GROUP BY 1`,
        [found.block_num]
      )
      seen.set(name, new Map(rows.map((row) => [row.hash, Number(row.rows)])))
    }
    return { latest: { block: BigInt(found.block_num), hash: found.hash }, seen }
  } finally {
    await client.query("COMMIT").catch(() => undefined)
  }
}

/** What differs from the chain that has this block, in the first table where something does. */
const differenceOf = (chains: Chains, first: bigint, { block, hash }: Latest, seen: Seen): string | undefined => {
  const view = chains.identifiedBy(block, hash)
  if (view === undefined) return `no chain has block ${block} with hash ${hash}`
  for (const [name, table] of Object.entries(TABLES)) {
    const found = new Map(seen.get(name))
    for (let number = first; number <= block; number += 1n) {
      const { hash, rows } = chains.block(blockAt(view, number)!)
      const [has, wanted] = [found.get(hash) ?? 0, table.rows(number, rows)]
      if (has !== wanted) {
        return `${name}: at block ${block} there are ${has} rows of block ${number} instead of ${wanted}`
      }
      found.delete(hash)
    }
    const [foreign] = found.keys()
    if (foreign !== undefined) return `${name}: at block ${block} there are rows of a block ${foreign} of another chain`
  }
}

/** SQLSTATEs of a session that was ended, and of a server that ends, starts, or has no connection left. */
const LOST_SESSION = /^(08...|57P0[1-3]|53300)$/

/** Of the driver, which has no code for them. */
const LOST_CONNECTION = /^(Connection terminated|Client has encountered a connection error|Client was closed)/

/** Whether the error is that of a connection and not of a statement: one of the network has a word such as `ECONNRESET`. */
const isLostSession = ({ cause }: Cause.UnknownError): boolean => {
  const { code, message } = cause as { readonly code?: string; readonly message?: string }
  if (code === undefined) return LOST_CONNECTION.test(message ?? "")
  return LOST_SESSION.test(code) || /^E[A-Z]{4,}$/.test(code)
}

export interface LatestOptions {
  readonly readers?: number
  /** Between two snapshots of a reader. */
  readonly pauseMillis?: number
}

/**
 * Readers take snapshots of the tables of `readQueries` over and over until the result is taken, or the scope closes. A session
 * that is lost is followed by another; any other failure is a violation.
 */
export const watchLatest = Effect.fnUntraced(function*(
  world: World,
  chains: Chains,
  { pauseMillis = 5, readers = 2 }: LatestOptions = {}
): Effect.fn.Return<Observation, never, Scope.Scope> {
  const violations: Array<string> = []
  const checked = new Set<string>()
  const step = Effect.fnUntraced(function*(client: Client) {
    const snapshot = yield* Effect.tryPromise(() => read(client))
    if (snapshot === undefined) return
    const difference = differenceOf(chains, world.simulator.startBlock, snapshot.latest, snapshot.seen)
    if (difference !== undefined && violations.length < 5) violations.push(difference)
    checked.add(snapshot.latest.hash)
  })
  const session = Effect.scoped(Effect.flatMap(
    connect(world),
    (client) => Effect.forever(Effect.andThen(Effect.uninterruptible(step(client)), Effect.sleep(pauseMillis)))
  ))
  const reader = Effect.forkScoped(
    Effect.retry(session, { schedule: Schedule.spaced("50 millis"), while: isLostSession })
  )
  const fibers = yield* Effect.replicateEffect(reader, readers)
  return {
    violations: Effect.map(Effect.forEach(fibers, endOf), (failures) => [...violations, ...failures.flat()]),
    checked: () => checked.size
  }
})
