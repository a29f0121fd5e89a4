/** The parts that every case uses: the database, the canned server, the proxy, the processes of the floor. */
import { Effect, type Scope } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { removeAtEnd } from "./children.ts"
import type { CopyHandlers } from "./copy.ts"
import type { FlightHandlers } from "./flight/main.ts"
import { type Handlers, type Helper, startHelper } from "./helper.ts"
import type { Options } from "./options.ts"
import { type Postgres, startPostgres } from "./postgres.ts"
import type { ProxyHandlers } from "./proxy.ts"
import type { Figures } from "./stats.ts"

export interface Bench {
  readonly options: Options
  /** The program that is measured now. */
  readonly main: string
  /** For files of the run; removed at its end. */
  readonly directory: string
  readonly postgres: Postgres
  readonly flight: Helper<FlightHandlers>
  readonly ports: { readonly flight: number; readonly admin: number }
  readonly proxy: Helper<ProxyHandlers>
  readonly proxyPort: number
  /** One per table that is copied at the same time. */
  readonly copiers: ReadonlyArray<Helper<CopyHandlers>>
}

/** What a case found out. */
export interface CaseResult {
  readonly name: string
  readonly title: string
  /** Rows that one run of the product writes; 0 where that does not matter. */
  readonly rows: number
  readonly rounds: ReadonlyArray<Figures>
  readonly median: Figures
}

/** Most tables of a case with a floor. */
const COPIERS = 3

const helper = <H extends Handlers>(file: string): Effect.Effect<Helper<H>, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => startHelper<H>(file)),
    (started) => Effect.promise(() => started.stop())
  )

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(async () => {
    const directory = await mkdtemp(join(tmpdir(), "ampsync-bench-"))
    removeAtEnd(directory)
    return directory
  }),
  (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
)

/** Starts everything; it is stopped when the scope closes. */
export const startBench = (options: Options): Effect.Effect<Bench, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const postgres = yield* startPostgres(directory)
    const [flight, proxy, ...copiers] = yield* Effect.all([
      helper<FlightHandlers>("flight/main.ts"),
      helper<ProxyHandlers>("proxy.ts"),
      ...Array.from({ length: COPIERS }, () => helper<CopyHandlers>("copy.ts"))
    ], { concurrency: "unbounded" })
    const ports = yield* Effect.promise(() => flight.call("ports"))
    const proxyPort = yield* Effect.promise(() => proxy.call("listen", postgres.port))
    return { options, main: options.builds[0]!, directory, postgres, flight, ports, proxy, proxyPort, copiers }
  })
