/**
 * The directory of one cluster, `data` (PGDATA), `password` and `postgres.log`, and the server that runs in it.
 *
 * `data` is always complete: initdb works in `data.new`, which is renamed at the end.
 */
import { Effect, Schedule } from "effect"
import { chown, mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { EmbeddedPostgresError } from "../EmbeddedPostgres.ts"
import { freePort, LOOPBACK } from "../freePort.ts"
import type { Account } from "./account.ts"
import type { Binaries } from "./binaries.ts"
import { startServer } from "./watchdog.ts"

export interface Cluster {
  /** The directory, an absolute path; created where it is missing. */
  readonly home: string
  /** Of the superuser. */
  readonly password: string
  /** Whether commits survive a power failure. */
  readonly durable: boolean
  /** Settings of the server beyond those that it always has, such as `wal_level=logical`. */
  readonly parameters: ReadonlyArray<string>
}

/** What a server needs to run. */
export interface Runtime {
  readonly account: Account | undefined
  readonly binaries: Binaries
  /** A directory of this run, removed at the end. */
  readonly runtime: string
}

/** A first start takes 1-2 s; recovery after a crash may take much longer. */
const READY_TIMEOUT = "60 seconds"

/** A cluster that is removed at the end needs no protection against a power failure. */
const VOLATILE = ["-cfsync=off", "-csynchronous_commit=off", "-cfull_page_writes=off"]

const serverOptions = (port: number, { durable, parameters }: Cluster): ReadonlyArray<string> => [
  `-clisten_addresses=${LOOPBACK}`,
  `-cport=${port}`,
  "-cunix_socket_directories=",
  "-cmax_connections=200",
  // The default, POSIX shared memory, needs more of /dev/shm than a container gives.
  "-cdynamic_shared_memory_type=mmap",
  "-clog_checkpoints=off",
  // I7: errors of statements quote row values, and the end of this log may be copied into that of the sync. Start-up failures
  // are still logged.
  "-clog_min_messages=log",
  ...(durable ? [] : VOLATILE),
  ...parameters.map((parameter) => `-c${parameter}`)
]

const prepareFailed = (detail: string) => (cause: unknown) =>
  new EmbeddedPostgresError({ operation: "prepare", detail, cause })

/** Makes `home`, owned by `account`, with the password for initdb in a file of mode 0600. */
const prepareHome = ({ home, password }: Cluster, account: Account | undefined) =>
  Effect.tryPromise({
    try: async () => {
      const passwordFile = join(home, "password")
      await mkdir(home, { recursive: true, mode: 0o700 })
      await rm(passwordFile, { force: true })
      await writeFile(passwordFile, password, { mode: 0o600, flag: "wx" })
      if (account === undefined) return
      for (const path of [home, passwordFile]) await chown(path, account.uid, account.gid)
    },
    catch: prepareFailed(`cannot make the directory ${home}`)
  })

/** Waits until the server in `data` accepts connections on `port`, as line 8 of its pid file reports. */
const awaitReady = (data: string, port: number): Effect.Effect<void> =>
  Effect.promise(async () => {
    const lines = (await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "")).split("\n")
    return lines[3] === String(port) && ["ready", "standby"].includes(lines[7]?.trim() ?? "")
  }).pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (ready) => ready }),
    Effect.asVoid
  )

const startOnFreePort = Effect.fnUntraced(function*(cluster: Cluster, runtime: Runtime) {
  const { durable, home } = cluster
  const dataDirectory = join(home, "data")
  const port = yield* Effect.mapError(freePort, prepareFailed(`no free port on ${LOOPBACK}`))
  const ended = yield* startServer({ ...runtime, durable, home, serverOptions: serverOptions(port, cluster) })
  yield* awaitReady(dataDirectory, port).pipe(
    Effect.raceFirst(ended),
    Effect.timeoutOrElse({
      duration: READY_TIMEOUT,
      orElse: () =>
        Effect.fail(new EmbeddedPostgresError({ operation: "start", detail: `not ready within ${READY_TIMEOUT}` }))
    })
  )
  return { dataDirectory, ended, port }
})

/** Makes the cluster where it is missing, starts its server on a free port and waits until it answers there. */
export const startCluster = (cluster: Cluster, runtime: Runtime) =>
  Effect.andThen(
    prepareHome(cluster, runtime.account),
    // Another process may take the port before the server binds it.
    Effect.retry(startOnFreePort(cluster, runtime), {
      times: 2,
      while: (error) => error.detail.includes("could not bind")
    })
  )
