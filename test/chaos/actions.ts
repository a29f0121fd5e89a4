/** What each kind of action does. A fault that lasts is ended by its own action. */
import { status } from "@grpc/grpc-js"
import { Effect } from "effect"
import { holdLock } from "../support/holdLock.ts"
import { WRITABLE } from "./database.ts"
import type { Action, ActionKind } from "./schedule.ts"
import type { Stage } from "./stage.ts"
import { chaosTables } from "./tables.ts"

type Act = (stage: Stage, action: Action) => Effect.Effect<void>

const at = <A>(list: ReadonlyArray<A>, index: number): A => list[index % list.length]!

const act = (what: (stage: Stage, action: Action) => void): Act => (stage, action) =>
  Effect.sync(() => what(stage, action))

const lasting =
  (begin: (stage: Stage, action: Action) => void, end: (stage: Stage, action: Action) => void): Act =>
  (stage, action) =>
    Effect.andThen(
      Effect.sync(() => begin(stage, action)),
      Effect.andThen(Effect.sleep(action.millis), Effect.sync(() => end(stage, action)))
    )

/** Blocks that can be replaced without touching block 0: all of them from block 1 on. */
const depthOf = ({ simulator }: Stage, amount: number) => Math.min(amount, Math.max(1, Number(simulator.chain.tip)))

const sessions = "FROM pg_stat_activity WHERE application_name LIKE 'ampsync%' AND pid <> pg_backend_pid()"
const terminateSessions = `SELECT pg_terminate_backend(pid) ${sessions}`

/** The table may not be there yet, and a server that crashes ends the session. */
const holding = (statement: (action: Action) => string): Act => (stage, action) =>
  holdLock(stage.postgres.database, statement(action)).pipe(
    Effect.andThen(Effect.sleep(action.millis)),
    Effect.scoped,
    Effect.exit
  )

const acts: Readonly<Record<ActionKind, Act>> = {
  "mine": act(({ simulator }, { amount }) => simulator.mine(amount)),
  "reorg": act((stage, { amount, target }) => stage.simulator.reorg(depthOf(stage, amount), amount + 1 + target % 3)),
  "reorgs": (stage, { amount }) =>
    Effect.forEach(
      Array.from({ length: amount }, (_, index) => index),
      (index) =>
        Effect.andThen(Effect.sync(() => stage.simulator.reorg(depthOf(stage, 1 + index % 3))), Effect.sleep(40)),
      { discard: true }
    ),
  // The server notices it when the new chain is the longer one.
  "reorg-shorter": lasting(
    (stage, { amount }) => {
      const depth = depthOf(stage, amount)
      stage.simulator.reorg(depth, Math.max(0, depth - 1))
    },
    ({ simulator }) => simulator.mine(3)
  ),
  "reorg-deep": act(({ simulator: { chain, reorg } }, { target }) => {
    const depth = Math.max(1, Number(chain.tip) + 1 - target % 8)
    reorg(depth, depth + 2)
  }),
  "flight-cut": act(({ simulator }) => simulator.faults.cutAll()),
  "flight-cut-in-range": act(({ simulator }, { amount }) => {
    simulator.faults.cutAfter(amount)
    simulator.mine(1)
  }),
  "flight-slow": lasting(
    ({ simulator }, { amount }) => void (simulator.faults.delayMillis = amount * 15),
    ({ simulator }) => void (simulator.faults.delayMillis = 0)
  ),
  "flight-frozen": lasting(({ simulator }) => simulator.faults.freeze(), ({ simulator }) => simulator.faults.resume()),
  "flight-half-open": lasting(
    ({ flightProxy }) => flightProxy.freeze(),
    ({ flightProxy, simulator }) => {
      flightProxy.restore()
      flightProxy.redirect(Number(new URL(simulator.flightUrl).port))
    }
  ),
  "flight-hang": lasting(
    ({ simulator }) => void simulator.faults.hangStreams(),
    ({ simulator }) => simulator.faults.resume()
  ),
  "flight-reset-streams": act(({ simulator }) => simulator.faults.resetStreams()),
  "flight-end-streams": act(({ simulator }) => simulator.faults.endStreams()),
  "flight-error": act(({ simulator }, { amount }) => {
    simulator.faults.failAfter(amount, status.INTERNAL, "injected failure")
    simulator.faults.failNext("any", status.UNAVAILABLE, "injected failure", amount)
  }),
  "flight-goaway": lasting(
    ({ simulator }) => simulator.faults.enforcePings(60_000, 0),
    ({ simulator }) => simulator.faults.enforcePings(0, Infinity)
  ),
  "flight-wrong-parent": act(({ simulator }, { amount }) => {
    simulator.faults.swapPrevHash(amount)
    simulator.mine(1)
  }),
  "admin-down": act(({ simulator }, { amount }) => simulator.faults.failAdmin(503, amount)),
  "kill": ({ processes }, { millis, target }) => at(processes, target).kill(millis),
  "terminate": ({ processes }, { millis, target }) => at(processes, target).terminate(millis),
  "pause": ({ processes }, { millis, target }) => at(processes, target).pause(millis),
  "pg-crash": ({ postgres }, { millis }) => postgres.restart("immediate", millis),
  "pg-restart": ({ postgres }, { millis }) => postgres.restart("fast", millis),
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
    `LOCK TABLE ${at(chaosTables, target).as} IN ${amount % 2 === 0 ? "SHARE" : "ACCESS EXCLUSIVE"} MODE`
  ),
  "pg-lock-checkpoint": holding(({ target }) =>
    `SELECT FROM _ampsync_checkpoints WHERE table_name = '${at(chaosTables, target).as}' FOR UPDATE`
  ),
  "pg-read-only": ({ postgres }, { millis }) =>
    postgres.once("ALTER DATABASE postgres SET default_transaction_read_only TO on").pipe(
      Effect.andThen(postgres.once(terminateSessions)),
      Effect.andThen(Effect.sleep(millis)),
      Effect.andThen(postgres.database.query(WRITABLE)),
      Effect.andThen(postgres.once(terminateSessions))
    ),
  "pg-vacuum-full": ({ postgres }, { target }) => postgres.once(`VACUUM FULL ${at(chaosTables, target).as}`),
  "reload-invalid": (stage, { millis }) =>
    stage.writeConfig("{ \"name\": \"example\", ").pipe(
      Effect.andThen(Effect.sleep(millis)),
      Effect.andThen(stage.writeConfig(stage.configWithout()))
    ),
  "reload-without-table": (stage, { millis, target }) =>
    stage.writeConfig(stage.configWithout(at(chaosTables, target).as)).pipe(
      Effect.andThen(Effect.sleep(millis)),
      Effect.andThen(stage.writeConfig(stage.configWithout()))
    )
}

/** Carries out an action, and ends when its effect has ended. */
export const perform: Act = (stage, action) => acts[action.kind](stage, action)

/** Ends every fault that is left, and makes every block that was mined visible. */
export const heal = (stage: Stage): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { flightProxy, postgresProxies, simulator } = stage
    simulator.faults.clear()
    for (const proxy of [flightProxy, ...postgresProxies]) proxy.restore()
    yield* stage.postgres.database.query(WRITABLE)
    yield* stage.writeConfig(stage.configWithout())
    simulator.mine(30)
  })
