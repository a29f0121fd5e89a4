/** What other sessions of PostgreSQL do, and what is done to those of the sync. */
import { Effect } from "effect"
import { holdLock } from "../../support/holdLock.ts"
import { DISK_FULL, ROLE } from "../database.ts"
import type { Action } from "../schedule.ts"
import { chaosTables } from "../tables.ts"
import { type Act, act, type Acts, at, lasting } from "./act.ts"
import { depthOf } from "./chain.ts"

const sessions = "FROM pg_stat_activity WHERE application_name LIKE 'ampsync%' AND pid <> pg_backend_pid()"
const terminateSessions = `SELECT pg_terminate_backend(pid) ${sessions}`

const tableOf = (target: number): string => at(chaosTables, target).as

/** The table may not be there yet, and a server that crashes ends the session. */
const holding = (statement: (action: Action) => string, meanwhile: Act = () => Effect.void): Act => (stage, action) =>
  holdLock(stage.postgres.database, statement(action)).pipe(
    Effect.andThen(meanwhile(stage, action)),
    Effect.andThen(Effect.sleep(action.millis)),
    Effect.scoped,
    Effect.exit
  )

/** A statement, its effect on sessions that begin after it, and another one that takes it back. */
const meanwhile = (begin: (action: Action) => string, end: (action: Action) => string): Act => ({ postgres }, action) =>
  postgres.once(begin(action)).pipe(
    Effect.andThen(postgres.once(terminateSessions)),
    Effect.andThen(Effect.sleep(action.millis)),
    // The server may be down, or the table locked.
    Effect.andThen(postgres.database.query(end(action))),
    Effect.andThen(postgres.once(terminateSessions))
  )

const LIMITS = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"]

/** A row of a table, a checkpoint, or an entry of the history finds no room. */
const diskFullOn = ({ amount, target }: Action): string =>
  at([`INSERT ON ${tableOf(target)}`, "UPDATE ON _ampsync_checkpoints", "INSERT ON _ampsync_watermarks"], amount)

export const sessionActs = {
  "pg-terminate-backends": ({ postgres }) => postgres.once(terminateSessions),
  "pg-cancel-backends": ({ postgres }) => postgres.once(`SELECT pg_cancel_backend(pid) ${sessions}`),
  "pg-commit-cut": act(({ postgresProxies }, { amount, target }) =>
    at(postgresProxies, target).cutOnReply("COMMIT\0", amount)
  ),
  "pg-commit-unanswered": lasting(
    ({ postgresProxies }, { target }) => at(postgresProxies, target).blackholeOnRequest("COMMIT"),
    ({ postgres, postgresProxies }, { target }) => {
      at(postgresProxies, target).restore()
      at(postgresProxies, target).redirect(postgres.port())
    }
  ),
  // What was sent meanwhile arrives at the end.
  "pg-silent": lasting(
    ({ postgresProxies }, { target }) => at(postgresProxies, target).freeze(),
    ({ postgresProxies }, { target }) => at(postgresProxies, target).restore()
  ),
  "pg-lock-table": holding(({ amount, target }) =>
    `LOCK TABLE ${tableOf(target)} IN ${amount % 2 === 0 ? "SHARE" : "ACCESS EXCLUSIVE"} MODE`
  ),
  "pg-lock-checkpoint": holding(({ target }) =>
    `SELECT FROM _ampsync_checkpoints WHERE table_name = '${tableOf(target)}' FOR UPDATE`
  ),
  "pg-lock-rows": holding(
    ({ amount, target }) => `SELECT FROM ${tableOf(target)} ORDER BY ctid DESC LIMIT ${amount * 10} FOR UPDATE`,
    (stage, { amount }) => Effect.sync(() => stage.simulator.reorg(depthOf(stage, amount)))
  ),
  "pg-no-connections": meanwhile(
    ({ amount }) => `ALTER ${amount % 2 === 0 ? `ROLE ${ROLE}` : "DATABASE postgres"} CONNECTION LIMIT ${amount - 1}`,
    ({ amount }) => `ALTER ${amount % 2 === 0 ? `ROLE ${ROLE}` : "DATABASE postgres"} CONNECTION LIMIT -1`
  ),
  "pg-role-timeouts": meanwhile(
    ({ amount, target }) => `ALTER ROLE ${ROLE} SET ${at(LIMITS, target)} TO '${amount * 10}ms'`,
    ({ target }) => `ALTER ROLE ${ROLE} RESET ${at(LIMITS, target)}`
  ),
  "pg-read-only": meanwhile(
    () => "ALTER DATABASE postgres SET default_transaction_read_only TO on",
    () => "ALTER DATABASE postgres RESET default_transaction_read_only"
  ),
  "pg-disk-full": ({ postgres }, action) =>
    postgres.once(
      `CREATE TRIGGER ${DISK_FULL} BEFORE ${diskFullOn(action)} FOR EACH ROW EXECUTE FUNCTION public.${DISK_FULL}()`
    ).pipe(Effect.andThen(Effect.sleep(action.millis)), Effect.andThen(postgres.dropDiskFull)),
  "pg-add-column": ({ postgres }, { amount, millis, target }) =>
    postgres.once(`ALTER TABLE ${tableOf(target)} ADD COLUMN chaos_${amount} integer DEFAULT 1`).pipe(
      Effect.andThen(Effect.sleep(millis)),
      Effect.andThen(
        postgres.database.query(`ALTER TABLE IF EXISTS ${tableOf(target)} DROP COLUMN IF EXISTS chaos_${amount}`)
      )
    ),
  "pg-vacuum-full": ({ postgres }, { target }) => postgres.once(`VACUUM FULL ${tableOf(target)}`),
  "pg-reindex": ({ postgres }, { amount, target }) =>
    postgres.once(`REINDEX TABLE ${amount % 2 === 0 ? "CONCURRENTLY " : ""}${tableOf(target)}`)
} as const satisfies Acts<string>
