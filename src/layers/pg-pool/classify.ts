/** Classification of PostgreSQL errors. */
import { SqlError } from "effect/sql"
import { IndexRowTooLarge, NO_PARTITION } from "../../services/PgPool.ts"

/**
 * Turns an error of the driver into a `SqlError`: the one place that decides whether a retry may help.
 *
 * Invariant I7: texts of data and constraint errors quote row values, and a trigger may raise any text under any code, so
 * only texts of known classes are kept; the driver's error object is not passed on.
 * Source: PostgreSQL, appendix "Error Codes".
 */
export const classify = (cause: unknown, operation: string): SqlError.SqlError => {
  if (cause instanceof SqlError.SqlError) return cause
  const error = fieldsOf(cause)
  return new SqlError.SqlError({ reason: reasonOf(error, `PostgreSQL: ${describe(error)}`, operation) })
}

/** A failure of ampsync, such as a deadline, reported as one of the connection. */
export const connectionLost = (text: string, operation: string): SqlError.SqlError =>
  new SqlError.SqlError({
    reason: new SqlError.ConnectionError({ message: `PostgreSQL: ${text}`, operation, cause: text })
  })

/** Whether the server ended this session, or the connection to it is lost. */
export const endsSession = (cause: unknown): boolean => {
  const { code, severity, isServerError } = fieldsOf(cause)
  // 25006: this server became a standby; only a new connection can reach the new primary.
  return !isServerError || ENDS_SESSION.test(severity) || /^(08|57P)/.test(code) || code === "25006"
}

/** Severities after which the server, or a pooler in front of it, closes the connection. */
const ENDS_SESSION = /^(?:FATAL|PANIC)$/

interface Fields {
  readonly isServerError: boolean
  readonly code: string
  readonly severity: string
  readonly text: string
  readonly objects: string
  readonly constraint: string
  /** The function of the server's source that raised it: unlike the text, it is never translated. */
  readonly routine: string
  /** The user's function that raised it; empty where unknown. */
  readonly raisedBy: string
  /** The text comes from a user's function, or from a statement that it built. */
  readonly isForeign: boolean
}

const fieldsOf = (cause: unknown): Fields => {
  const error = (typeof cause === "object" && cause !== null ? cause : {}) as Record<string, unknown>
  const text = (name: string) => (typeof error[name] === "string" ? error[name] : "")
  const where = text("where")
  const copied = COPIED_COLUMN.exec(where)?.[1]
  const objects = (["schema", "table", "column", "constraint"] as const).flatMap((name) => {
    const object = text(name) || (name === "column" ? copied ?? "" : "")
    return object === "" ? [] : [`${name} ${object}`]
  })
  return {
    isServerError: text("severity") !== "" && /^[0-9A-Z]{5}$/.test(text("code")),
    code: text("code"),
    severity: text("severity"),
    text: text("message") || String(cause),
    objects: objects.join(", "),
    constraint: text("constraint"),
    routine: text("routine"),
    raisedBy: RAISED_BY.exec(where)?.[1] ?? "",
    isForeign: FOREIGN.test(where)
  }
}

/**
 * The function name in the innermost frame of a context. Only the beginning is matched: later frames may quote statements,
 * and a value in one of these may look like a frame.
 * Source: PostgreSQL, src/pl/plpgsql/src/pl_exec.c, `plpgsql_exec_error_callback`.
 */
const RAISED_BY = /^PL\/pgSQL function ((?:"(?:[^"\n]|"")+"|[\p{L}\p{N}_$.])+)\([^)\n]*\) line \d+ at /u

/** The innermost frame is one of a function, or any frame is that of a dynamic statement, which may contain values. */
const FOREIGN = /^PL\/| at EXECUTE$/m

/**
 * The column that a binary COPY was reading. A COPY in text format quotes the value behind a colon.
 * Source: PostgreSQL, src/backend/commands/copyfrom.c, `CopyFromErrorCallback`.
 */
const COPIED_COLUMN = /^COPY [^\n:]+, line \d+, column ([^\n:]+)$/

const describe = (error: Fields): string => {
  if (!error.isServerError) {
    return NO_PASSWORD.test(error.text)
      ? "the server asks for a password and none is set; set DATABASE_PASSWORD"
      : error.text
  }
  const isSafe = SAFE_CLASSES.test(error.code) && !error.isForeign
  const text = isSafe ? error.text : conditions[error.code] ?? "the data was rejected"
  const by = error.raisedBy === "" ? "" : `by function ${error.raisedBy}()`
  const details = [`SQLSTATE ${error.code}`, error.objects, by].filter((detail) => detail !== "").join("; ")
  const isDamaged = DAMAGED.test(error.code) && !ENDS_SESSION.test(error.severity)
  return `${text} (${details})${isDamaged ? DAMAGED_ADVICE : ""}`
}

/** Data or an index that is damaged: more rows would make it worse, and only an operator can repair it. */
const DAMAGED = /^XX00[12]$/
const DAMAGED_ADVICE = "; what the database has stored is damaged: restore or repair it, then start ampsync again"

/** The driver's error of a handshake that fails at every attempt. Source: pg, lib/crypto/sasl.js. */
const HANDSHAKE = /^SASL: /
const NO_PASSWORD = /^SASL: .*client password must be /

/** Classes whose texts are about connections, rights, objects and resources, never about values. */
const SAFE_CLASSES = /^(?:08|0A|25|26|28|3D|3F|40|42|53|54|55|57|58|72|F0|XX)/

/** Texts for errors of rows, and of triggers, generated columns and indexes on their table. */
const conditions: Record<string, string> = {
  "21000": "a subquery of a trigger or function returned more than one row",
  "22001": "text is longer than its column allows",
  "22003": "numeric value out of range",
  "22004": "a function was called with a null that it rejects",
  "22007": "text is not a date or time",
  "22008": "datetime out of range",
  "22012": "division by zero",
  "22015": "interval out of range",
  "22021": "text is not valid in the database's encoding",
  "22023": "a function was called with a value that it rejects",
  "22026": "bits of another length than their column has",
  "22030": "a JSON object in which a key comes twice",
  "22032": "text is not JSON",
  "22P02": "text cannot be read as a value of its type",
  "22P03": "invalid binary representation",
  "22P04": "malformed COPY data",
  "22P05": "a character that the encoding of the database lacks; a database in UTF8 holds every one",
  "2201B": "text is not a regular expression",
  "2200H": "a sequence is exhausted",
  "23001": "a foreign key keeps a row that is to be deleted",
  "23502": "null in a column that allows none",
  "23503": "a foreign key finds no row to refer to, or would lose the one it refers to",
  "23505": "a row with this key exists already",
  "23514": "a check constraint rejects a row",
  "23P01": "an exclusion constraint rejects a row",
  "42501": "permission denied",
  "44000": "the CHECK OPTION of a view rejects a row",
  "P0001": "a function of the database raised an exception"
}

/** Where a row is found too large for an index. Source: PostgreSQL, nbtutils.c, `_bt_check_third_page`; indextuple.c, `index_form_tuple`. */
const BTREE_ROUTINES = /^(?:_bt_check_third_page|index_form_tuple(?:_context)?)$/

/** Where no partition is found for a row. Source: PostgreSQL, src/backend/executor/execPartition.c. */
const NO_PARTITION_ROUTINE = "ExecFindPartition"

/** What a new session is refused as well: the login, a right, the database. */
const REFUSAL = /^(?:28|42501$|3D000$)/

/**
 * Connections (08), the state of a transaction or a session (25, 26), resources such as a disk that is full (53), objects that
 * another session uses, or a standby that is about to be promoted (55), operators and shutdown (57), I/O (58), a snapshot that
 * is too old (72), and internal errors (XX000), which are also what PostgreSQL reports where two sessions change a catalog at once.
 */
const TRANSIENT = /^(?:08|25|26|53|55|57|58|72|XX000$)/

/** Where a plan that a session keeps no longer fits a table; the next session has none. Source: PostgreSQL, src/backend/utils/cache/plancache.c. */
const STALE_PLAN_ROUTINE = "RevalidateCachedQuery"

/** 54000 at COMMIT: the queue of NOTIFY is full. */
const isTransient = ({ code, routine }: Fields, operation: string): boolean =>
  TRANSIENT.test(code) || (code === "54000" && operation === "COMMIT") ||
  (code === "0A000" && routine === STALE_PLAN_ROUTINE)

const reasonOf = (error: Fields, message: string, operation: string): SqlError.SqlErrorReason => {
  const cause = error.isServerError ? `SQLSTATE ${error.code}` : error.code || error.text
  const fields = { message, operation, cause }
  if (!error.isServerError) {
    return HANDSHAKE.test(error.text)
      ? new SqlError.AuthenticationError(fields)
      : new SqlError.ConnectionError(fields)
  }
  const { code } = error
  if (code === "40P01") return new SqlError.DeadlockError(fields)
  if (code.startsWith("40")) return new SqlError.SerializationError(fields)
  if (code === "55P03") return new SqlError.LockTimeoutError(fields)
  if (code === "57014") return new SqlError.StatementTimeoutError(fields)
  // One that is refused at the start of a session is judged by its code alone.
  const isLost = ENDS_SESSION.test(error.severity) && operation !== "connect" && !REFUSAL.test(code)
  if (isLost || isTransient(error, operation)) return new SqlError.ConnectionError(fields)
  if (code.startsWith("28")) return new SqlError.AuthenticationError(fields)
  if (code === "42501") return new SqlError.AuthorizationError(fields)
  if (code.startsWith("42")) return new SqlError.SqlSyntaxError(fields)
  if (code === "23505") return new SqlError.UniqueViolation({ ...fields, constraint: error.objects })
  if (code === "54000" && BTREE_ROUTINES.test(error.routine)) {
    return new SqlError.UnknownError({ ...fields, cause: new IndexRowTooLarge(error.constraint || undefined) })
  }
  if (code === "23514" && error.routine === NO_PARTITION_ROUTINE) {
    return new SqlError.ConstraintError({ ...fields, cause: NO_PARTITION })
  }
  if (code.startsWith("23")) return new SqlError.ConstraintError(fields)
  return new SqlError.UnknownError(fields)
}
