/** Checks of one table: its query, the table that it fills, and the rights on it. */
import { Deferred, Effect, Result } from "effect"
import type { ArrowSchema } from "../../../domain/arrow/ArrowSchema.ts"
import { ok, problem, warning } from "../../../domain/health/Finding.ts"
import type { TableSpec } from "../../../domain/manifest/TableSpec.ts"
import { sameColumns } from "../../../domain/postgres/table/compareTable.ts"
import { designTable, type TableDesign } from "../../../domain/postgres/table/designTable.ts"
import { rowKey } from "../../../domain/postgres/table/tableDdl.ts"
import { Bookkeeping } from "../../../services/Bookkeeping.ts"
import type { SyncConfig } from "../../../services/Config.ts"
import { DatabaseChecks, type TableTrial } from "../../../services/DatabaseChecks.ts"
import type { FlightClient } from "../../../services/FlightClient.ts"
import { TableIndexes } from "../../../services/TableIndexes.ts"
import { MAY_KEEP_ROWS, TableSink } from "../../../services/TableSink.ts"
import { type ActiveConfig, requestOf } from "../../reload/ActiveConfig.ts"
import { describeTable } from "../../table/describeTable.ts"
import { tryStream } from "../../table/tryTable.ts"
import { trackPending } from "../../timeLimit.ts"
import { type Connected, onDatabase, trialFinding } from "./connected.ts"
import type { CheckSpec } from "./runChecks.ts"

const kinds = { none: "fits its query", create: "is created by a start", alter: "is extended by a start" } as const

export const tableChecks = Effect.fnUntraced(function*(
  active: ActiveConfig,
  table: TableSpec,
  databaseSchema: string,
  connected: Connected
) {
  const { name } = table
  const described = yield* Deferred.make<{ readonly columns: ArrowSchema; readonly design: TableDesign }>()
  const planned = yield* Deferred.make<Omit<TableTrial, "before" | "columns">>()
  const withDatabase = onDatabase(connected)

  const query: CheckSpec<FlightClient | SyncConfig> = {
    id: `query:${name}`,
    title: `Query of ${name}`,
    needs: ["dataset"],
    run: Effect.gen(function*() {
      const columns = yield* trackPending("flight")(describeTable(table))
      yield* trackPending("flight")(tryStream(table))
      const design = designTable(databaseSchema, requestOf(active, table, columns))
      if (Result.isFailure(design)) {
        return problem(design.failure, "change the query, or the settings of the table in the config")
      }
      yield* Deferred.succeed(described, { columns, design: design.success })
      const { definition: { positionColumn } } = design.success
      return ok(`${design.success.columns.length} columns that are stored without loss, placed by ${positionColumn}`)
    }).pipe(
      Effect.catch((error) =>
        Effect.succeed(problem(error.message, "change the query so that the server can stream it"))
      )
    )
  }

  const fit: CheckSpec = {
    id: `table:${name}`,
    title: `Table ${name}`,
    needs: [`query:${name}`, "database"],
    run: withDatabase(
      Effect.gen(function*() {
        const { columns } = yield* Deferred.await(described)
        const plan = yield* (yield* TableSink).plan(requestOf(active, table, columns))
        const { missing } = yield* (yield* TableIndexes).plan(name, table.settings.indexes)
        const indexes = missing.map((index) => index.columns)
          .filter((wanted) => !plan.indexed.some((index) => sameColumns(index, wanted)))
        yield* Deferred.succeed(planned, { plan, indexes })
        const filters = plan.notes.filter((note) => note.includes(MAY_KEEP_ROWS))
        return filters.length > 0
          ? warning(filters.join(". "), "remove them, or exempt the role of the sync from them")
          : ok([kinds[plan.kind], ...(plan.kind === "create" ? [] : plan.notes)].join("; "))
      }).pipe(
        Effect.catchTag(
          "TableRejected",
          ({ reason }) => Effect.succeed(problem(reason, "docs/operating.md has what is behind it"))
        )
      )
    )
  }

  const rights: CheckSpec = {
    id: `rights:${name}`,
    title: `Rights on ${name}`,
    needs: [`table:${name}`, "writable"],
    run: withDatabase(
      Effect.gen(function*() {
        const { design: { definition } } = yield* Deferred.await(described)
        const before = (yield* (yield* Bookkeeping).pending).filter((statement) =>
          /^CREATE (?:SCHEMA|PUBLICATION) /.test(statement)
        )
        const { indexes, plan } = yield* Deferred.await(planned)
        yield* (yield* DatabaseChecks).tryTable({
          plan,
          indexes,
          before,
          columns: rowKey(definition.positionColumn),
          isPartitioned: definition.partitionBlocks !== undefined
        })
        return ok(plan.kind === "create" ? "it may be created and written" : "it may be written")
      }).pipe(Effect.catchTag("TrialFailed", (error) => Effect.succeed(trialFinding(error))))
    )
  }

  const checks: ReadonlyArray<CheckSpec<FlightClient | SyncConfig>> = [query, fit, rights]
  return checks
})
