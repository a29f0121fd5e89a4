/** What the database has recorded of a sync, and what of it needs attention. */

/** One table, as `_ampsync_progress` shows it. Times are Unix milliseconds of the database's clock, as everywhere here. */
export interface TableRecord {
  readonly table: string
  /** `namespace/name`. */
  readonly dataset: string | undefined
  readonly datasetVersion: string | undefined
  readonly network: string | undefined
  readonly state: string
  readonly reason: string | undefined
  readonly sinceMillis: number | undefined
  /** Provisional ones included; undefined where the table has no checkpoint. */
  readonly rows: bigint | undefined
  readonly provisionalRows: bigint | undefined
  readonly watermark: bigint | undefined
  readonly watermarkHash: string | undefined
  readonly watermarkAtMillis: number | undefined
  /** Time of the watermark's block, where the source reports it (amp). */
  readonly blockAtMillis: number | undefined
  readonly sourceHead: bigint | undefined
  readonly sourceHeadAtMillis: number | undefined
  readonly lagBlocks: bigint | undefined
  readonly unverified: boolean
  readonly lastReorg: { readonly atMillis: number; readonly firstBlock: bigint; readonly depth: bigint } | undefined
  /** The process that writes it, or wrote it last; undefined after an orderly stop. */
  readonly writer: string | undefined
}

/** One process. */
export interface WriterRecord {
  readonly writer: string
  readonly version: string | undefined
  readonly startedAtMillis: number | undefined
  readonly heartbeatAtMillis: number
  readonly isAlive: boolean
  readonly configLoadedAtMillis: number | undefined
  /** When a changed config was rejected; undefined once one is applied. */
  readonly reloadFailedAtMillis: number | undefined
  readonly reloadReason: string | undefined
}

/** The newest block at which all tables of a dataset show the same chain. */
export interface LatestRecord {
  readonly dataset: string
  readonly network: string
  readonly block: bigint
  readonly hash: string
  readonly tables: ReadonlyArray<string>
}

/** All of it, as of one moment. */
export interface SyncRecord {
  readonly readAtMillis: number
  readonly tables: ReadonlyArray<TableRecord>
  /** The living ones, and those that hold a table. */
  readonly writers: ReadonlyArray<WriterRecord>
  readonly latest: ReadonlyArray<LatestRecord>
}

/** States in which nothing is written, and no table gets out of by itself within seconds. */
const badStates = ["stalled", "parked", "diverged", "offline", "stopped"] as const

export type BadState = (typeof badStates)[number]

export const isBadState = (state: string): state is BadState => badStates.some((bad) => bad === state)

/** Something that needs attention. */
export interface RecordedProblem {
  /** Undefined where it concerns no single table. */
  readonly table: string | undefined
  readonly code: BadState | "no tables" | "reload failed"
  readonly message: string
}

/** Everything that needs attention; none where all is well. */
export const problemsOf = ({ tables, writers }: SyncRecord): ReadonlyArray<RecordedProblem> => {
  const present = tables.filter(({ state }) => state !== "removed")
  const ofTables = present.flatMap(({ reason, state, table }): ReadonlyArray<RecordedProblem> =>
    isBadState(state)
      ? [{ table, code: state, message: `table '${table}' is ${state}${reason === undefined ? "" : `: ${reason}`}` }]
      : []
  )
  const ofReloads = writers.flatMap((writer): ReadonlyArray<RecordedProblem> =>
    writer.isAlive && writer.reloadFailedAtMillis !== undefined
      ? [{
        table: undefined,
        code: "reload failed",
        message: `${writer.writer} keeps its previous config, because the changed one was rejected: ${
          writer.reloadReason ?? "for an unknown reason"
        }`
      }]
      : []
  )
  return present.length === 0
    ? [{ table: undefined, code: "no tables", message: "no table is synced into this schema" }, ...ofReloads]
    : [...ofTables, ...ofReloads]
}

/** Seconds between the times of the watermark and of the source's head; undefined where one of them is not known. */
export const lagSecondsOf = (table: TableRecord): number | undefined => {
  if (table.lagBlocks === 0n) return 0
  const { blockAtMillis, sourceHeadAtMillis } = table
  if (blockAtMillis === undefined || sourceHeadAtMillis === undefined) return undefined
  return Math.max(0, Math.round((sourceHeadAtMillis - blockAtMillis) / 1_000))
}

/** The parts of a writer's name, `<host> pid <process id> (<random part>)`; undefined for another form. */
export const writerParts = (writer: string): { readonly host: string; readonly processId: number } | undefined => {
  const [, host, processId] = /^(.*) pid (\d+) \([0-9a-f]{8}\)$/.exec(writer) ?? []
  return host === undefined ? undefined : { host, processId: Number(processId) }
}
