/** One supervised table among doubles: its stream, its database and the head of its source are the test's. */
import { Effect, Layer, type Option, Stream } from "effect"
import type { SqlError } from "effect/sql"
import type { WriterLease } from "../../src/domain/bookkeeping/WriterLease.ts"
import type { Checkpoint } from "../../src/domain/chain/Checkpoint.ts"
import type { Phase } from "../../src/domain/TablePhase.ts"
import type { SettingValues } from "../../src/layers/Config.ts"
import { layer as statusLayer } from "../../src/layers/SyncStatus.ts"
import { makeCopyBuffers } from "../../src/programs/table/CopyBuffers.ts"
import { makeHeldMemory } from "../../src/programs/table/HeldMemory.ts"
import { makePermits } from "../../src/programs/table/Permits.ts"
import { superviseTable } from "../../src/programs/table/superviseTable.ts"
import { makeTableSession } from "../../src/programs/table/TableSession.ts"
import type { DatasetInfo } from "../../src/services/AdminApi.ts"
import type { FlightError, StreamRequest } from "../../src/services/FlightClient.ts"
import { SyncStatus } from "../../src/services/SyncStatus.ts"
import { type FullIndex, TableIndexes } from "../../src/services/TableIndexes.ts"
import type { Fenced, TableHeld, TableRejected } from "../../src/services/TableLeases.ts"
import { TableSink } from "../../src/services/TableSink.ts"
import { activeConfigOf } from "../doubles/activeConfig.ts"
import { leaseOf, tableLeases } from "../doubles/bookkeeping.ts"
import { flightClient, type Messages } from "../doubles/FlightClient.ts"
import { recordedLog } from "../doubles/Log.ts"
import { type HeadAnswer, recordedHead } from "../doubles/SourceHead.ts"
import { encoderOf, recordedWriter, type TableWriterOptions } from "../doubles/TableWriter.ts"
import { exampleManifest } from "./exampleManifest.ts"
import { frameFields } from "./frames.ts"
import { checkpoint } from "./scenario.ts"
import { testSettings } from "./testSettings.ts"
import { unreachableDatabase } from "./unreachableDatabase.ts"

const TABLE = "t"

const manifest = exampleManifest({
  network: "anvil",
  version: "0.1.0",
  dependencies: {},
  tables: { [TABLE]: { sql: "SELECT _block_num FROM anvil.blocks" } }
})

const info: DatasetInfo = { dialect: "amp", namespace: "_", name: "example", version: "0.1.0", tables: [] }

export interface Script extends Pick<TableWriterOptions, "answer"> {
  readonly acquire?: Effect.Effect<void, SqlError.SqlError | TableHeld | TableRejected>
  readonly prepare?: Effect.Effect<void, SqlError.SqlError | Fenced | TableRejected>
  /** How each attempt to drop an index without room for a row ends, by the number of those before it. */
  readonly dropFull?: (attempt: number) => Effect.Effect<Option.Option<FullIndex>, SqlError.SqlError>
  readonly awaitUnlocked?: Effect.Effect<void, SqlError.SqlError>
  /** Names of the stored watermarks, oldest first: the table has rows already. */
  readonly stored?: ReadonlyArray<string>
  /** What comes of each connection, by the number of those before it. */
  readonly open: (attempt: number, request: StreamRequest) => Effect.Effect<Messages, FlightError>
  /** The network has no table of blocks where absent. */
  readonly head?: HeadAnswer
  readonly settings?: SettingValues
  /** Memory for what waits for confirmations. */
  readonly heldBytes?: number
  /** As the Admin API reports it; amp where absent. */
  readonly dialect?: "amp" | "nozzle"
}

/** Supervises the table until the scope closes. */
export const supervised = Effect.fnUntraced(function*(script: Script) {
  const { layer: logging, lines } = recordedLog()
  const requests: Array<StreamRequest> = []
  const openedAt: Array<number> = []
  const droppedAt: Array<number> = []
  const [counts, writers] = [{ acquired: 0, prepared: 0, released: 0, unlocked: 0 }, [] as Array<Writer>]
  const head = recordedHead(script.head)
  const stored = { current: checkpoint(...(script.stored ?? [])) }
  if (script.stored === undefined) stored.current = { ...stored.current, network: undefined, origin: undefined }
  const count = (what: keyof typeof counts) => Effect.sync(() => void (counts[what] += 1))

  const services = yield* Layer.build(Layer.mergeAll(
    head.layer,
    flightClient({
      open: (request) =>
        Effect.clockWith((clock) =>
          Effect.suspend(() => {
            openedAt.push(clock.currentTimeMillisUnsafe())
            requests.push(request)
            return script.open(requests.length - 1, request)
          })
        )
    }),
    Layer.mock(TableSink, {
      acquire: ({ table }) =>
        count("acquired").pipe(
          Effect.andThen(script.acquire ?? Effect.void),
          Effect.as(leaseOf(table, { checkpoint: stored.current }))
        ),
      prepare: (lease) =>
        count("prepared").pipe(
          Effect.andThen(script.prepare ?? Effect.void),
          Effect.map(() => {
            const writer = writerOf(lease, script, stored)
            writers.push(writer)
            return writer.writer
          })
        ),
      awaitUnlocked: () => Effect.andThen(count("unlocked"), script.awaitUnlocked ?? Effect.void)
    }),
    tableLeases({ release: () => count("released") }),
    Layer.mock(TableIndexes, {
      dropFull: (_table, _name, onEvent) =>
        Effect.clockWith((clock) =>
          Effect.suspend(() => {
            droppedAt.push(clock.currentTimeMillisUnsafe())
            const dropped = script.dropFull?.(droppedAt.length - 1) ?? Effect.succeedNone
            return Effect.tapError(dropped, () => onEvent({ kind: "waiting", processId: 42 }))
          })
        )
    }),
    statusLayer,
    testSettings(unreachableDatabase, script.settings),
    logging
  ))
  const session = yield* makeTableSession(
    manifest.tables[0]!,
    Effect.succeed(activeConfigOf(manifest, { ...info, dialect: script.dialect ?? info.dialect })),
    {
      permits: yield* makePermits(1),
      buffers: makeCopyBuffers(1),
      held: makeHeldMemory(script.heldBytes ?? 1024 * 1024),
      unreadableHeads: new Set(),
      awaited: Effect.succeed(undefined)
    }
  )
  const status = yield* Effect.provideContext(SyncStatus, services)
  const phases: Array<readonly [atMillis: number, phase: Phase]> = []
  yield* status.changes.pipe(
    Stream.runForEach((tables) =>
      Effect.clockWith((clock) =>
        Effect.sync(() => {
          const phase = tables.get(TABLE)?.phase
          if (phase !== undefined && phase !== phases.at(-1)?.[1]) phases.push([clock.currentTimeMillisUnsafe(), phase])
        })
      )
    ),
    Effect.forkScoped
  )
  const fiber = yield* Effect.forkScoped(Effect.provideContext(superviseTable(session), services))
  return {
    fiber,
    session,
    lines,
    counts,
    /** What each connection was asked for, and when it was opened, in milliseconds. */
    requests,
    openedAt,
    /** When the drop of an index without room was tried. */
    droppedAt,
    head,
    /** Every change of the phase. */
    phases,
    status: Effect.map(status.get, (all) => all.get(TABLE)!),
    phase: Effect.map(status.get, (all) => all.get(TABLE)?.phase),
    committed: () => writers.flatMap((writer) => writer.committed()),
    transactions: () => writers.flatMap((writer) => writer.transactions)
  }
})

type Writer = ReturnType<typeof recordedWriter>

/** What a transaction made durable is what the next lease begins with. */
const writerOf = ({ checkpoint }: WriterLease, { answer }: Script, stored: { current: Checkpoint }): Writer =>
  recordedWriter({
    checkpoint,
    encoder: encoderOf(frameFields),
    answer: (index, chunk) =>
      Effect.tap(
        Effect.suspend(() => answer?.(index, chunk) ?? Effect.void),
        () => Effect.sync(() => void (stored.current = chunk.checkpoint))
      )
  })
