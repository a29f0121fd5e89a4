/** Checks of the target database, beside its tables. */
import { Deferred, Effect, Layer, Result, Scope } from "effect"
import type { SqlError } from "effect/sql"
import { type Finding, ok, problem, skipped, warning } from "../../../domain/health/Finding.ts"
import { replicationFinding } from "../../../domain/health/replicationFinding.ts"
import type { ServerFacts } from "../../../domain/health/ServerFacts.ts"
import {
  clockFinding,
  commitFinding,
  connectionsFinding,
  diskFinding,
  encodingFinding,
  timeoutsFinding,
  tlsFinding,
  versionFinding,
  writableFinding
} from "../../../domain/health/serverFindings.ts"
import { Bookkeeping } from "../../../services/Bookkeeping.ts"
import type { ConnectionSettings, DatabaseSettings } from "../../../services/Config.ts"
import { DatabaseChecks, type Pooling } from "../../../services/DatabaseChecks.ts"
import { RecordedStatus } from "../../../services/RecordedStatus.ts"
import { trackPending } from "../../timeLimit.ts"
import {
  type Connected,
  databaseServices,
  type DatabaseServiceSettings,
  onDatabase,
  trialFinding
} from "./connected.ts"
import type { CheckSpec } from "./runChecks.ts"

const poolings: Readonly<Record<Pooling, Finding>> = {
  none: ok("none"),
  session: ok("one that keeps a session for each client"),
  transaction: warning(
    "one that lends sessions by transaction: tables are synced through it, somewhat slower",
    "connect to PostgreSQL itself where the config has indexes, and for LISTEN"
  )
}

/** What to do is in most messages already, with the variable. */
const databaseProblem = (message: string): Finding => {
  const [, found, advice] = /^(.*?); ((?:check|set|create|correct) .*)$/s.exec(message) ?? []
  return found === undefined || advice === undefined
    ? problem(message, "check DATABASE_URL or the DATABASE_* variables, and whether PostgreSQL runs there")
    : problem(found, advice)
}

/** `tables`: the names of the config's tables; none where they are not known. */
export const databaseChecks = Effect.fnUntraced(function*(
  settings: ConnectionSettings,
  { notifyOnCommit, publication }: DatabaseSettings,
  connected: Connected,
  tables: Effect.Effect<ReadonlyArray<string>>
) {
  const scope = yield* Effect.scope
  const { database: { database, host, port, user }, maxDbConnections } = settings
  const connect = Layer.buildWithScope(databaseServices, yield* Scope.fork(scope))

  const withDatabase = onDatabase(connected)
  const checks = withDatabase(DatabaseChecks)
  const facts = trackPending("database")(yield* Effect.cached(Effect.flatMap(checks, ({ facts }) => facts)))
  const pooling = trackPending("database")(yield* Effect.cached(Effect.flatMap(checks, ({ pooling }) => pooling)))
  const ofFacts = (
    id: string,
    title: string,
    judge: (facts: ServerFacts) => Finding
  ): CheckSpec<DatabaseServiceSettings> => ({
    id,
    title,
    needs: ["database"],
    run: Effect.map(facts, judge)
  })

  const specs: ReadonlyArray<CheckSpec<DatabaseServiceSettings>> = [
    {
      id: "database",
      title: "Database",
      needs: [],
      run: trackPending("database")(connect).pipe(
        Effect.flatMap((context) => Deferred.succeed(connected, context)),
        Effect.as(ok(`"${database}" at ${host}:${port} accepts role "${user}"`)),
        Effect.catch((error: SqlError.SqlError) => Effect.succeed(databaseProblem(error.message)))
      )
    },
    ofFacts("version", "Version of PostgreSQL", versionFinding),
    ofFacts("encoding", "Encoding", encodingFinding),
    {
      id: "pooler",
      title: "Pooler",
      needs: ["database"],
      run: Effect.map(pooling, (found) => poolings[found])
    },
    {
      id: "tls",
      title: "TLS",
      needs: ["database"],
      run: Effect.map(
        Effect.all([facts, pooling]),
        ([found, between]) => tlsFinding(found, settings.database, between === "none")
      )
    },
    ofFacts("writable", "Primary", writableFinding),
    ofFacts("connections", "Connections", (found) => connectionsFinding(found, maxDbConnections)),
    ofFacts("timeouts", "Time limits of the role", timeoutsFinding),
    ofFacts("durability", "Durability", commitFinding),
    ofFacts("clock", "Clocks", clockFinding),
    ofFacts("disk", "Disk", diskFinding),
    {
      id: "bookkeeping",
      title: "Bookkeeping",
      needs: ["database", "writable"],
      run: withDatabase(tryBookkeeping)
    },
    {
      id: "notify",
      title: "Notifications",
      needs: ["database", "writable"],
      run: notifyOnCommit
        ? withDatabase(Effect.flatMap(DatabaseChecks, ({ tryNotify }) => tryNotify)).pipe(
          Effect.as(ok("NOTIFY may be sent")),
          Effect.catchTag("TrialFailed", (error) => Effect.succeed(trialFinding(error)))
        )
        : Effect.succeed(ok("off, by NOTIFY_ON_COMMIT"))
    },
    {
      id: "replication",
      title: "Publications",
      needs: ["database"],
      run: Effect.gen(function*() {
        const { publishedTables, replication } = yield* checks
        return replicationFinding(yield* publishedTables(yield* tables), publication, yield* replication)
      })
    },
    {
      id: "writers",
      title: "Other processes",
      needs: ["database"],
      run: withDatabase(Effect.flatMap(tables, otherWriters))
    }
  ]
  return specs
})

const tryBookkeeping = Effect.gen(function*() {
  const { pending } = yield* Bookkeeping
  const statements = yield* pending
  const trial = yield* Effect.result((yield* DatabaseChecks).tryBookkeeping(statements))
  if (Result.isFailure(trial)) return trialFinding(trial.failure)
  return ok(
    statements.length === 0 ? "up to date, and may be written" : "a start may create or extend it, and write it"
  )
})

const otherWriters = (tables: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const record = yield* (yield* RecordedStatus).read
    const alive = record.writers.filter(({ isAlive }) => isAlive)
    const holding = alive.flatMap(({ writer }) => {
      const held = record.tables.filter((table) => table.writer === writer && tables.includes(table.table))
      return held.length === 0 ? [] : [`${writer} writes ${held.map(({ table }) => table).join(", ")}`]
    })
    if (holding.length === 0) return ok("none writes these tables")
    return warning(
      `${holding.join("; ")}: a start stands by for these tables`,
      "stop that process where another one is to take its place"
    )
  }).pipe(
    Effect.catchTag("NothingRecorded", ({ message, reason }) =>
      Effect.succeed(
        reason === "no schema" || reason === "no bookkeeping"
          ? ok("no sync was started with this schema")
          : skipped(message)
      ))
  )
