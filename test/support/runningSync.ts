/** The whole sync in this process, on a world of its own, with a config that a test edits. */
import { assert } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, type Scope } from "effect"
import { rename, writeFile } from "node:fs/promises"
import { layerFrom, type SettingValues } from "../../src/layers/Config.ts"
import { layerWith, type ManifestSourceOptions } from "../../src/layers/ManifestSource.ts"
import { layerWith as sourceHeadLayer, type SourceHeadOptions } from "../../src/layers/SourceHead.ts"
import { services } from "../../src/programs/ampsync.ts"
import { sync } from "../../src/programs/verbs/sync.ts"
import { SyncStatus } from "../../src/services/SyncStatus.ts"
import { recordedLog } from "../doubles/Log.ts"
import { eventually } from "./eventually.ts"
import { manifestOf, type Queries, type World } from "./world.ts"

export interface RunningSync {
  /** Every line it logged so far. */
  readonly lines: ReadonlyArray<string>
  /** When each line was logged: milliseconds. */
  readonly times: ReadonlyArray<number>
  readonly status: SyncStatus["Service"]
  /** Waits until it logs `text`, counting from the line `after`. */
  readonly logs: (text: string, after?: number) => Effect.Effect<void>
  readonly stop: Effect.Effect<void>
  /** Fails with what ended it. */
  readonly ended: Effect.Effect<never, unknown>
}

/** It ends with the scope. */
export const startSync = Effect.fnUntraced(function*(
  environment: SettingValues,
  options: ManifestSourceOptions & { readonly sourceHead?: SourceHeadOptions } = {}
): Effect.fn.Return<RunningSync, never, Scope.Scope> {
  const times: Array<number> = []
  const { layer: logging, lines } = recordedLog(() => times.push(performance.now()))
  const context = yield* Effect.orDie(
    Layer.build(Layer.provideMerge(services, Layer.merge(layerFrom(environment), logging)))
  )
  // The log explains a test that failed.
  yield* Effect.addFinalizer((exit) =>
    Effect.sync(() => exit._tag === "Failure" && console.log(lines.slice(-60).join("\n")))
  )
  const fiber = yield* Effect.forkScoped(sync.pipe(
    Effect.provide(layerWith(options)),
    Effect.provide(sourceHeadLayer(options.sourceHead ?? {})),
    Effect.provide(logging),
    Effect.provideContext(context)
  ))
  return {
    lines,
    times,
    status: Context.get(context, SyncStatus),
    logs: (text, after = 0) =>
      eventually(
        () => `it logs "${text}"; its log:\n${lines.slice(-40).join("\n")}`,
        Effect.sync(() => lines.slice(after).some((line) => line.includes(text)))
      ),
    stop: Fiber.interrupt(fiber),
    ended: Fiber.join(fiber)
  }
})

/** Replaces the config as an editor does; a text is written as it is. */
export const replaceConfig = (world: World, config: Queries | string | object) =>
  Effect.promise(async () => {
    const text = typeof config === "string"
      ? config
      : JSON.stringify("tables" in config ? config : manifestOf(world.simulator.dialect, config as Queries))
    await writeFile(`${world.manifestPath}.new`, text)
    await rename(`${world.manifestPath}.new`, world.manifestPath)
  })

/** The writer epoch of each table: every restart of its fiber raises it. */
export const writerEpochs = (world: World) =>
  Effect.map(
    world.database.query<{ table_name: string; writer_epoch: string }>(
      "SELECT table_name, writer_epoch FROM _ampsync_checkpoints"
    ),
    (rows) => Object.fromEntries(rows.map((row) => [row.table_name, Number(row.writer_epoch)]))
  )

/** Streams the server was asked to open so far, by table. */
export const streamsOpened = (world: World, table: string): number =>
  world.simulator.faults.calls.filter(({ call, sql }) =>
    call === "DoGet" && sql.includes(`.${table}`) && sql.includes("SETTINGS stream")
  ).length

/** Number of rows; undefined where there is no such table yet. */
export const rowsOf = Effect.fnUntraced(function*({ database }: World, table: string) {
  const [found] = yield* database.query<{ found: boolean }>("SELECT to_regclass($1) IS NOT NULL AS found", [
    `"${table}"`
  ])
  if (found?.found !== true) return undefined
  const [row] = yield* database.query<{ n: string }>(`SELECT count(*) AS n FROM "${table}"`)
  return Number(row?.n)
})

/** Waits until a table of the chain holds as many rows as the chain has. */
export const awaitAllRows = (world: World, table: "blocks" | "transactions" | "logs", as: string = table) =>
  eventually(
    `table ${as} has every row`,
    Effect.map(rowsOf(world, as), (rows) => rows === world.simulator.chain.countRows(table, world.simulator.startBlock))
  )

/** Waits until the head of the source was read. */
export const awaitHead = (sync: RunningSync, table: string) =>
  eventually(
    `the head of table ${table}'s source is known`,
    Effect.map(sync.status.get, (tables) => tables.get(table)?.sourceHead !== undefined)
  )

/** Mines a block and waits until it has arrived in every table. */
export const mineAndAwait = Effect.fnUntraced(
  function*(world: World, tables: ReadonlyArray<"blocks" | "transactions" | "logs">) {
    world.simulator.mine(1)
    for (const table of tables) yield* awaitAllRows(world, table)
  }
)

export const assertSameStreams = Effect.fnUntraced(function*(
  world: World,
  before: Readonly<Record<string, number>>,
  tables: ReadonlyArray<string>
) {
  const now = yield* writerEpochs(world)
  for (const table of tables) assert.strictEqual(now[table], before[table], `table ${table} was not restarted`)
})
