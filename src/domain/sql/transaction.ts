/** The statements that begin a transaction on one table. */
import { MAX_IDENTIFIER_BYTES } from "../postgres/table/identifiers.ts"
import { textLiteral } from "./literal.ts"

/** After waiting so long for a lock it is better to retry later than to keep a connection and a permit that others wait for. */
const LOCK_TIMEOUT = "1s"

/** The literal of an `application_name`, cut to the length that PostgreSQL keeps. */
export const activityLiteral = (activity: string): string => {
  const bytes = new TextEncoder().encode(activity)
  return textLiteral(
    bytes.length <= MAX_IDENTIFIER_BYTES ? activity : new TextDecoder().decode(bytes.subarray(0, MAX_IDENTIFIER_BYTES))
  )
}

/**
 * The time limit of a role or a database for whole transactions (PostgreSQL 17 and newer) would roll a long deletion back each
 * time. Returns no row, and calls `set_config` only where there is such a limit: older servers refuse the name. Measured:
 * 10 microseconds, where `pg_settings` costs a thousand.
 */
export const NO_TRANSACTION_TIMEOUT = "SELECT WHERE CASE WHEN current_setting('transaction_timeout', true) <> '0' " +
  "THEN set_config('transaction_timeout', '0', true) IS NULL END"

/**
 * The statements that limit the current transaction to what ours need. `activity` becomes the session's `application_name` for
 * as long as it lasts.
 */
export const transactionSettings = (activity: string): ReadonlyArray<string> => [
  `SET LOCAL application_name TO ${activityLiteral(activity)}`,
  "SET LOCAL statement_timeout TO 0",
  NO_TRANSACTION_TIMEOUT,
  `SET LOCAL lock_timeout TO '${LOCK_TIMEOUT}'`
]

/** What a transaction is begun with: behind its first query, which one of its settings is, it cannot be set any more. */
export type TransactionMode =
  | "ISOLATION LEVEL READ COMMITTED"
  | "ISOLATION LEVEL REPEATABLE READ"
  | "ISOLATION LEVEL REPEATABLE READ READ ONLY"

/** Begins a transaction with `transactionSettings`; its mode is that of the database where none is named. */
export const beginTransaction = (activity: string, mode?: TransactionMode): string =>
  [mode === undefined ? "BEGIN" : `BEGIN ${mode}`, ...transactionSettings(activity)].join("; ")

/** The number of statements in `beginTransaction`. */
export const BEGIN_STATEMENTS = 1 + transactionSettings("").length

/**
 * Sent as one text with a statement that is repeated on a timer, so that it applies to that one only and needs no transaction of
 * the pool. PostgreSQL does not notice that a client has given up while it waits for a lock or for a replica: each abandoned
 * attempt would leave a session behind. What a failover loses of it is written again by the next.
 */
export const REPEATED_WRITE = `SET LOCAL lock_timeout TO '${LOCK_TIMEOUT}'; SET LOCAL synchronous_commit TO local`

/** Begins a transaction whose statements read one snapshot and write nothing; none of them may take more than half a minute. */
export const beginSnapshot = (activity: string): string =>
  `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL application_name TO ${activityLiteral(activity)}; ` +
  `SET LOCAL statement_timeout TO '30s'; SET LOCAL lock_timeout TO '${LOCK_TIMEOUT}'`

/** Begins a transaction that is rolled back: its locks must not hold anybody up. */
export const beginTrial =
  "BEGIN; SET LOCAL application_name TO 'ampsync doctor'; SET LOCAL statement_timeout TO '10s'; " +
  `SET LOCAL lock_timeout TO '${LOCK_TIMEOUT}'`
