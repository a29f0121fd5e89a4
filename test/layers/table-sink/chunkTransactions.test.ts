import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import type { SqlError } from "effect/sql"
import { addRows, type Chunk } from "../../../src/domain/chain/Chunk.ts"
import type { PgPoolOptions } from "../../../src/layers/PgPool.ts"
import { openTransactions } from "../../../src/layers/table-sink/chunkTransactions.ts"
import type { TableWriter, WriteError } from "../../../src/services/TableSink.ts"
import { sessionOf } from "../../support/bookkeeping.ts"
import {
  checkpointOf,
  contents,
  everything,
  type FilledChunk,
  firstOf,
  noRows,
  prepareTable,
  rangeOf,
  tupleOf,
  withoutRows,
  withRange,
  writeChunk
} from "../../support/chunks.ts"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import { BEFORE_IDLE_TIMEOUT, failureOf, named } from "../../support/poolBench.ts"
import { type TestDatabase, testDatabase } from "../../support/postgres.ts"
import { startProxy, throughProxy } from "../../support/proxy.ts"
import { BLOCK, field, processOn, requestOf } from "../../support/sinkBench.ts"

type Settings = Parameters<typeof processOn>[1]
type Process = Effect.Success<ReturnType<typeof processOn>>

const fields = [BLOCK, field("note")]

/** What the table holds when a test begins: blocks 0 to 4. */
const first = checkpointOf([4n, 0])
const second = checkpointOf([4n, 0], [6n, 0])
const OLD = ["0:old0,old1", "1:old0,old1", "2:old0,old1", "3:old0,old1", "4:old0,old1"]
const NEW = [...OLD, "5:new0,new1", "6:new0,new1"]

/** Blocks 5 and 6, without a deletion: nothing is awaited before they are sent. */
const next = (table = noRows(first)) => withRange(table, rangeOf(5n, 6n), "new", second)

/** About 8 MB of further rows, more than the sockets can buffer. */
const withMegabytes = ({ chunk, tuples }: FilledChunk): FilledChunk => ({
  chunk: addRows(chunk, 40_000, 8_000_000, 6n),
  tuples: [
    ...tuples,
    ...Array.from(
      { length: 40 },
      (_, piece) =>
        Buffer.concat(Array.from({ length: 1000 }, (__, row) => tupleOf(6n, "x".repeat(180), 2 + piece * 1000 + row)))
    )
  ]
})

/** One chunk for each way to begin a transaction. */
const chunks: ReadonlyArray<readonly [title: string, chunk: FilledChunk]> = [
  ["with rows", withMegabytes(next())],
  ["with a deletion and rows", withMegabytes(next(noRows(first, 3n)))],
  ["without rows", withoutRows(noRows(first), rangeOf(5n, 6n), second)],
  ["with a deletion and without rows", withoutRows(noRows(first, 3n), rangeOf(5n, 6n), second)]
]

const filledOn = Effect.fnUntraced(function*(process: Process, table = "t") {
  yield* process.bookkeeping.ensure
  const request = requestOf(table, fields)
  const writer = yield* prepareTable(process.sink, request)
  yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(0n, 4n), "old", first))
  return { ...process, prepare: prepareTable(process.sink, request) }
})

/** A process with a table that is complete up to block 4; its sessions have the name of the schema. */
const filled = Effect.fnUntraced(function*(
  settings: Settings = {},
  options: PgPoolOptions = {},
  urlOf: (database: TestDatabase) => string = named
) {
  const database = yield* testDatabase
  return yield* filledOn(yield* processOn(database, { DATABASE_URL: urlOf(database), ...settings }, options))
})

/** As `filled`, by a role that is no superuser and owns the table. */
const filledByRole = Effect.gen(function*() {
  const database = yield* testDatabase
  const role = `role_${database.schema}`
  yield* Effect.acquireRelease(
    database.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT USAGE, CREATE ON SCHEMA ${database.schema} TO ${role}`
    ),
    () => Effect.andThen(database.query(`DROP OWNED BY ${role} CASCADE`), database.query(`DROP ROLE ${role}`))
  )
  const url = new URL(named(database))
  url.username = role
  url.password = "secret"
  return { ...(yield* filledOn(yield* processOn(database, { DATABASE_URL: url.href }))), role }
})

const sessions = ({ database, leases }: Pick<Process, "database" | "leases">) =>
  database.query<{ inTransaction: boolean }>(
    `SELECT xact_start IS NOT NULL AS "inTransaction" FROM pg_stat_activity
     WHERE application_name = $1 OR application_name = $2`,
    [database.schema, sessionOf(leases, "t")]
  )

/** Asserts that nothing of a transaction is left, and that the table can be written again. */
const assertRecovered = Effect.fnUntraced(function*(process: Effect.Success<ReturnType<typeof filledOn>>) {
  yield* eventually(
    "no session is in a transaction",
    Effect.map(sessions(process), (rows) => rows.every(({ inTransaction }) => !inTransaction)),
    BEFORE_IDLE_TIMEOUT
  )
  const writer = yield* process.prepare
  const { history } = writer.checkpoint
  yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(9n, 9n), "again", checkpointOf([9n, 0])))
  assert.include(yield* contents(process.database), "9:again0,again1")
  return history.map(({ block }) => Number(block))
})

const sqlErrorOf = <A>(exit: Exit.Exit<A, WriteError>): SqlError.SqlError => {
  const error = failureOf(exit)
  return error._tag === "SqlError" ? error : assert.fail(String(error))
}

/** A trigger that runs `body`. */
const trigger = ({ query, schema }: TestDatabase, when: string, body: string) =>
  query(
    `CREATE FUNCTION ${schema}.act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; END $$;
     CREATE ${when} FOR EACH ROW EXECUTE FUNCTION ${schema}.act()`
  )

const AT_COMMIT = "CONSTRAINT TRIGGER act AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"

describe("a chunk whose COPY is refused", () => {
  const changes: ReadonlyArray<readonly [title: string, statement: string]> = [
    ["the table was dropped", "DROP TABLE t"],
    ["a column is missing", "ALTER TABLE t DROP COLUMN note"],
    ["a column has another name", "ALTER TABLE t RENAME _row_index TO row_index"]
  ]
  it.live.each(changes)("reports that the table was changed where %s", ([, statement]) =>
    Effect.gen(function*() {
      for (const [title, chunk] of chunks.slice(0, 2)) {
        const { database, prepare } = yield* filled()
        const writer = yield* prepare
        yield* database.query(statement)
        const before = yield* database.query("SELECT * FROM _ampsync_checkpoints")
        assert.strictEqual((yield* Effect.flip(writeChunk(writer, chunk)))._tag, "TableChanged", title)
        assert.deepStrictEqual(yield* database.query("SELECT * FROM _ampsync_checkpoints"), before)
      }
    }))

  it.live("reports the missing right where the role may not insert, and changes nothing", () =>
    Effect.gen(function*() {
      const process = yield* filledByRole
      const { database, prepare, role } = process
      yield* database.query(`REVOKE INSERT ON t FROM ${role}`)
      for (const [title, chunk] of chunks.slice(0, 2)) {
        const writer = yield* prepare
        const before = yield* everything(database)
        const error = sqlErrorOf(yield* Effect.exit(writeChunk(writer, chunk)))
        assert.strictEqual(error.reason._tag, "AuthorizationError", title)
        assert.include(error.message, "permission denied for table t")
        assert.isFalse(error.isRetryable)
        assert.deepStrictEqual(yield* everything(database), before)
      }
      yield* database.query(`GRANT INSERT ON t TO ${role}`)
      assert.deepStrictEqual(yield* assertRecovered(process), [4])
    }))
})

describe("the fence", () => {
  const takeovers: ReadonlyArray<readonly [title: string, change: string]> = [
    ["epoch", "writer_epoch = writer_epoch + 1"],
    ["sequence", "commit_seq = commit_seq + 1"],
    ["writer", "writer = 'somebody else'"],
    ["writer, where nobody holds the table,", "writer = NULL"]
  ]
  it.live.each(takeovers)(
    "I3 stops a chunk by the %s alone, also when its data is already sent",
    ([, change]) =>
      Effect.gen(function*() {
        const process = yield* filled()
        const { database, prepare } = process
        for (const [title, chunk] of chunks) {
          const writer = yield* prepare
          yield* database.query(`UPDATE _ampsync_checkpoints SET ${change}`)
          const before = yield* everything(database)
          assert.strictEqual((yield* Effect.flip(writeChunk(writer, chunk)))._tag, "Fenced", title)
          assert.deepStrictEqual(yield* everything(database), before, title)
        }
        assert.deepStrictEqual(yield* assertRecovered(process), [4])
      })
  )

  it.live("I3 of a dropped checkpoint stops a chunk, and writes nothing", () =>
    Effect.gen(function*() {
      const { database, prepare } = yield* filled()
      const writer = yield* prepare
      yield* database.query("DELETE FROM _ampsync_checkpoints")
      assert.strictEqual((yield* Effect.flip(writeChunk(writer, withMegabytes(next()))))._tag, "Fenced")
      assert.deepStrictEqual(yield* contents(database), OLD)
    }))

  const divisions: ReadonlyArray<readonly [title: string, when: string]> = [
    ["when a row is inserted", "TRIGGER act BEFORE INSERT ON t"],
    ["at the COMMIT", AT_COMMIT]
  ]
  it.live.each(divisions)(
    "is not confused with a trigger that divides by zero %s",
    ([, when]) =>
      Effect.gen(function*() {
        const process = yield* filled()
        const { database, prepare } = process
        yield* trigger(database, when, "PERFORM 1 / 0; RETURN NEW")
        for (const [title, chunk] of chunks.slice(0, 2)) {
          const writer = yield* prepare
          const before = yield* everything(database)
          assert.include(sqlErrorOf(yield* Effect.exit(writeChunk(writer, chunk))).message, "22012", title)
          assert.deepStrictEqual(yield* everything(database), before, title)
        }
        yield* database.query("DROP TRIGGER act ON t")
        assert.deepStrictEqual(yield* assertRecovered(process), [4])
      })
  )
})

/** What the writer of a table uses, with another COPY statement. */
const transactionsWith = Effect.fnUntraced(
  function*({ checkpoints, database, leases, pool, sink }: Process, copy: string) {
    const lease = yield* sink.acquire({ table: "t", dataset: "_/example" })
    const plan = {
      definition: {
        schema: database.schema,
        table: "t",
        columns: [],
        positionColumn: "_block_num",
        primaryKey: undefined,
        comment: undefined
      },
      insertFilters: [],
      open: leases.open,
      advanceStatement: checkpoints.advanceStatement,
      notifies: false,
      copy
    }
    return yield* openTransactions(pool, plan, { current: lease })
  }
)

/** Sends a whole chunk; the returned effect waits for its outcome. */
const sent = (
  transactions: Effect.Success<TableWriter["transactions"]>,
  { chunk, tuples }: { readonly chunk: Chunk; readonly tuples: ReadonlyArray<Uint8Array> }
) =>
  Effect.gen(function*() {
    yield* transactions.open(chunk.deleteFrom)
    for (const piece of tuples) yield* transactions.copy(piece, () => {})
    return yield* transactions.close(chunk)
  })

describe("a checkpoint", () => {
  it.live("I1 is not recorded where the text that opens the transaction fails as a whole", () =>
    Effect.gen(function*() {
      const process = yield* filled()
      const { database } = process
      const exit = yield* Effect.scoped(Effect.gen(function*() {
        const transactions = yield* transactionsWith(process, "COPY nonsense ((")
        const before = yield* everything(database)
        const exit = yield* Effect.exit(Effect.flatten(sent(transactions, next())))
        yield* eventually(
          "the session is gone",
          Effect.map(sessions(process), ({ length }) => length === 0),
          BEFORE_IDLE_TIMEOUT
        )
        assert.deepStrictEqual(yield* everything(database), before)
        return exit
      }))
      assert.include(sqlErrorOf(exit).message, "42601")
      assert.deepStrictEqual(yield* assertRecovered(process), [4])
    }))

  const third = checkpointOf([4n, 0], [6n, 0], [7n, 0])
  const seventh = withRange(noRows(second), rangeOf(7n, 7n), "third", third)

  it.live("I1 of each of several chunks sent behind one another is recorded with its rows", () =>
    Effect.gen(function*() {
      const { database, prepare } = yield* filled()
      const writer = yield* prepare
      yield* Effect.scoped(Effect.gen(function*() {
        const transactions = yield* writer.transactions
        const outcomes = [yield* sent(transactions, next()), yield* sent(transactions, seventh)]
        yield* Effect.all(outcomes)
      }))
      assert.deepStrictEqual(yield* contents(database), [...NEW, "7:third0,third1"])
      const [row] = yield* database.query("SELECT max_block_num, commit_seq, rows FROM _ampsync_checkpoints")
      assert.deepStrictEqual(row, { max_block_num: "7", commit_seq: "3", rows: "16" })
    }))

  const failures: ReadonlyArray<readonly [title: string, when: string]> = [
    ["its checkpoint", "TRIGGER act BEFORE INSERT ON _ampsync_watermarks"],
    ["its COMMIT", AT_COMMIT]
  ]
  it.live.each(failures)(
    "I1 is not recorded, nor that of the chunk behind it, where %s fails; both report that",
    ([, when]) =>
      Effect.gen(function*() {
        const process = yield* filled()
        const { database, prepare } = process
        const writer = yield* prepare
        yield* trigger(database, when, "RAISE EXCEPTION 'no'")
        const before = yield* everything(database)
        const exits = yield* Effect.scoped(Effect.gen(function*() {
          const transactions = yield* writer.transactions
          const outcome = yield* sent(transactions, withMegabytes(next()))
          const behind = yield* Effect.exit(Effect.flatten(sent(transactions, seventh)))
          return [yield* Effect.exit(outcome), behind]
        }))
        for (const exit of exits) assert.include(sqlErrorOf(exit).message, "P0001")
        yield* eventually(
          "the session is gone",
          Effect.map(sessions(process), ({ length }) => length === 0),
          BEFORE_IDLE_TIMEOUT
        )
        assert.deepStrictEqual(yield* everything(database), before)
      })
  )

  it.live("I1 whose COMMIT was executed and not answered is in the next lease, with its rows once", () =>
    Effect.gen(function*() {
      const { port } = new URL((yield* testDatabase).url)
      const proxy = yield* startProxy(Number(port))
      const process = yield* filled({}, {}, (database) => throughProxy(named(database), proxy))
      const writer = yield* process.prepare
      proxy.cutOnReply("COMMIT")
      const error = sqlErrorOf(yield* Effect.exit(writeChunk(writer, next())))
      assert.isTrue(error.isRetryable)
      assert.strictEqual(proxy.cuts(), 1)
      yield* eventually("it is committed", Effect.map(contents(process.database), (rows) => rows.length === NEW.length))
      assert.deepStrictEqual(yield* contents(process.database), NEW)
      const again = yield* process.prepare
      assert.deepStrictEqual(again.checkpoint, second)
      assert.strictEqual(again.rows, 14n)
      assert.deepStrictEqual(yield* assertRecovered(process), [4, 6])
    }))
})

describe("a chunk in flight when its fiber is interrupted", () => {
  const interrupted = Effect.fnUntraced(function*(commitSeconds: number) {
    const process = yield* filled()
    const { database, leases, prepare } = process
    yield* trigger(
      database,
      `${AT_COMMIT.replace("act", "held")}`,
      `IF NEW._block_num = 5 AND NEW._row_index = 0 THEN PERFORM pg_sleep(${commitSeconds}); END IF; RETURN NULL`
    )
    const fiber = yield* Effect.forkScoped(writeChunk(yield* prepare, next()))
    yield* eventually(
      "the COMMIT is delayed",
      Effect.map(
        database.query("SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'", [
          sessionOf(leases, "t")
        ]),
        (rows) => rows.length === 1
      ),
      10_000
    )
    const began = Date.now()
    yield* Fiber.interrupt(fiber)
    return { ...process, elapsed: Date.now() - began }
  })

  it.live("I6 is committed where that takes less than two seconds", () =>
    Effect.gen(function*() {
      const process = yield* interrupted(0.5)
      assert.deepStrictEqual(yield* contents(process.database), NEW)
      assert.deepStrictEqual(yield* assertRecovered(process), [4, 6])
    }))

  it.live("I6 is committed with its checkpoint or not at all where the COMMIT takes longer", () =>
    Effect.gen(function*() {
      const process = yield* interrupted(60)
      assert.isBelow(process.elapsed, 20_000)
      yield* process.database.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        [
          sessionOf(process.leases, "t")
        ]
      )
      yield* eventually(
        "the session is gone",
        Effect.map(sessions(process), (rows) => rows.every(({ inTransaction }) => !inTransaction)),
        BEFORE_IDLE_TIMEOUT
      )
      const rows = yield* contents(process.database)
      assert.deepStrictEqual(yield* assertRecovered(process), rows.length === NEW.length ? [4, 6] : [4])
      assert.deepStrictEqual(rows, rows.length === NEW.length ? NEW : OLD)
    }))
})

describe("a table that somebody else has locked", () => {
  it.live.each(chunks.slice(0, 2))(
    "fails a chunk %s after a second, with LockTimeoutError",
    ([, chunk]) =>
      Effect.gen(function*() {
        const process = yield* filled()
        const { database, prepare } = process
        const writer = yield* prepare
        const before = yield* everything(database)
        const lock = yield* holdLock(database, "LOCK TABLE t")
        const began = Date.now()
        const error = sqlErrorOf(yield* Effect.exit(writeChunk(writer, chunk)))
        assert.strictEqual(error.reason._tag, "LockTimeoutError")
        assert.isTrue(error.isRetryable)
        assert.isAtLeast(Date.now() - began, 900)
        yield* lock.release
        assert.deepStrictEqual(yield* everything(database), before)
        assert.deepStrictEqual(yield* assertRecovered(process), [4])
      })
  )

  it.live("is awaited outside of the pool until the lock is released, while another table commits", () =>
    Effect.gen(function*() {
      const process = yield* filled({ MAX_DB_CONNECTIONS: "2" })
      const { database, prepare, sink } = process
      const other = yield* filledOn(process, "u")
      const lock = yield* holdLock(database, "LOCK TABLE t")
      assert.strictEqual(
        sqlErrorOf(yield* Effect.exit(writeChunk(yield* prepare, next()))).reason._tag,
        "LockTimeoutError"
      )
      const waiting = yield* Effect.forkScoped(sink.awaitUnlocked("t"))
      const waits = Effect.map(
        database.query("SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'", [
          sessionOf(process.leases, "t")
        ]),
        ({ length }) => length === 1
      )
      yield* eventually("it waits", waits, 10_000)
      yield* writeChunk(yield* other.prepare, next())
      assert.deepStrictEqual(yield* contents(database, "u"), NEW)
      // Longer than a transaction waits for a lock.
      yield* Effect.sleep("1500 millis")
      assert.isTrue(yield* waits)
      assert.isUndefined(waiting.pollUnsafe())
      yield* lock.release
      yield* Effect.timeout(Fiber.join(waiting), "5 seconds")
      yield* writeChunk(yield* prepare, next())
      assert.deepStrictEqual(yield* contents(database), NEW)
      assert.deepStrictEqual(yield* assertRecovered(process), [4, 6])
    }))

  it.live("is not awaited where it is not locked, and an interrupted wait leaves nothing behind", () =>
    Effect.gen(function*() {
      const process = yield* filled()
      const { database, sink } = process
      yield* Effect.timeout(sink.awaitUnlocked("t"), "5 seconds")
      const lock = yield* holdLock(database, "LOCK TABLE t")
      const waiting = yield* Effect.forkScoped(sink.awaitUnlocked("t"))
      yield* Effect.sleep("300 millis")
      yield* Effect.timeout(Fiber.interrupt(waiting), "2 seconds")
      yield* lock.release
      assert.deepStrictEqual(yield* assertRecovered(process), [4])
    }))
})

describe("a deletion", () => {
  const filters: ReadonlyArray<readonly [title: string, statements: string, words: string]> = [
    [
      "a trigger that keeps all rows",
      "CREATE TRIGGER act BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()",
      "rows of blocks from 3 on could not be deleted"
    ],
    [
      "a trigger that keeps one row",
      "CREATE TRIGGER act BEFORE DELETE ON t FOR EACH ROW WHEN (OLD._block_num = 4 AND OLD._row_index = 1) EXECUTE FUNCTION keep()",
      "rows of blocks from 3 on could not be deleted"
    ],
    [
      "a rule",
      "CREATE RULE act AS ON DELETE TO t DO INSTEAD NOTHING",
      "rows of blocks from 3 on could not be deleted"
    ],
    [
      "a rule with a condition",
      "CREATE RULE act AS ON DELETE TO t WHERE OLD._block_num = 4 DO INSTEAD NOTHING",
      "rows of blocks from 3 on could not be deleted"
    ],
    [
      "row level security",
      "CREATE POLICY low ON t USING (_block_num < 4); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
      "row-level security policy for table \"t\""
    ]
  ]
  it.live.each(filters)(
    "I1 that %s filters fails with the cause and changes nothing",
    ([, statements, words]) =>
      Effect.gen(function*() {
        const process = yield* filledByRole
        const { database, prepare, role } = process
        yield* database.query(
          `CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         GRANT EXECUTE ON FUNCTION keep() TO ${role}; ${statements}`
        )
        for (const [title, chunk] of [chunks[1]!, chunks[3]!]) {
          const writer = yield* prepare
          const before = yield* everything(database)
          const error = yield* Effect.flip(writeChunk(writer, chunk))
          assert.include(error.message, words, title)
          if (error._tag === "SqlError") assert.isFalse(error.isRetryable)
          else assert.strictEqual(error._tag, "TableRejected")
          assert.deepStrictEqual(yield* everything(database), before, title)
        }
        yield* database.query(
          `DROP FUNCTION keep CASCADE; DROP RULE IF EXISTS act ON t; DROP POLICY IF EXISTS low ON t;
         ALTER TABLE t DISABLE ROW LEVEL SECURITY`
        )
        assert.deepStrictEqual(yield* assertRecovered(process), [4])
      })
  )

  it.live.each(
    [
      ["with rows", next(noRows(first, 4n))],
      ["without rows", withoutRows(noRows(first, 4n), rangeOf(5n, 6n), second)]
    ] as const
  )("of a chunk %s takes as long as it takes", ([, chunk]) =>
    Effect.gen(function*() {
      const process = yield* filled({}, { stallMillis: 600 })
      const { database, prepare } = process
      yield* trigger(
        database,
        "TRIGGER act BEFORE DELETE ON t",
        "IF OLD._row_index = 0 THEN PERFORM pg_sleep(2); END IF; RETURN OLD"
      )
      const { rowsRemoved } = yield* writeChunk(yield* prepare, chunk)
      assert.strictEqual(rowsRemoved, 2)
      assert.notInclude((yield* contents(database)).join(), "4:")
      yield* database.query("DROP TRIGGER act ON t")
      assert.deepStrictEqual(yield* assertRecovered(process), [4, 6])
    }))
})
