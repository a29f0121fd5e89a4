/** Runs a server under a small shell that outlives this process and cleans up after it. */
import { Deferred, Effect, type Scope } from "effect"
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { Socket } from "node:net"
import type { Readable, Writable } from "node:stream"
import { text } from "node:stream/consumers"
import { EmbeddedPostgresError } from "../EmbeddedPostgres.ts"
import type { Account } from "./account.ts"
import type { Binaries } from "./binaries.ts"

/** The superuser of every cluster. */
export const SUPERUSER = "ampsync"

/**
 * `sh -c SCRIPT watchdog <postgres> <initdb> <home> <runtime> <sync option of initdb, or nothing> <server options>`.
 *
 * Standard input is a pipe that this process holds open and never writes to. It closes when this process closes it or ends,
 * by SIGKILL too. The reader then raises TERM in the main shell, which sends the running program its own stop signal: TERM
 * to initdb, INT (fast shutdown) to the server, and after 10 s QUIT (immediate shutdown).
 *
 * A server that ends on its own is reported by the last lines of its log and the end of standard error. `runtime` is
 * removed only when the pipe is closed, so that a parent that is still running never loses it.
 *
 * `wait` returns early when a trap has run, hence the loop around it. The last line also ends the reader and its sleep: the
 * shell leads a process group of its own, and the server is gone by then.
 */
const SCRIPT = `
exec 3<&0 </dev/null
postgres=$1 initdb=$2 home=$3 runtime=$4 sync=$5
shift 5
job= stopping= status=0 signal=TERM
stop() {
  stopping=yes
  [ -z "$job" ] || kill -s "$signal" "$job" 2>/dev/null
}
run() {
  "$@" 3<&- >>"$home/postgres.log" 2>&1 &
  job=$!
  [ -z "$stopping" ] || stop
  while :; do
    wait "$job"
    status=$?
    kill -0 "$job" 2>/dev/null || break
  done
  job=
}
trap stop TERM
trap 'signal=QUIT; stop' USR1
(
  trap - TERM USR1
  while read -r _; do :; done
  for _ in 1 2 3 4 5 6 7 8 9 10; do kill -s TERM $$; sleep 1; done
  while kill -s USR1 $$; do sleep 1; done
) <&3 >/dev/null 2>&1 &
exec 3<&-
: >"$home/postgres.log"
if [ ! -e "$home/data" ]; then
  rm -rf "$home/data.new"
  run "$initdb" -D "$home/data.new" --username=${SUPERUSER} --pwfile="$home/password" --auth=scram-sha-256 \\
    --encoding=UTF8 --locale=C $sync
  [ -n "$stopping" ] || [ "$status" -ne 0 ] || mv "$home/data.new" "$home/data"
fi
if [ -z "$stopping" ] && [ "$status" -eq 0 ]; then
  signal=INT
  run "$postgres" -D "$home/data" "$@"
fi
[ -n "$stopping" ] || tail -n 20 "$home/postgres.log" >&2
exec 2>&-
[ -n "$stopping" ] || wait
rm -rf "$runtime"
trap '' TERM
kill -s TERM 0
`

export interface WatchdogOptions {
  readonly binaries: Binaries
  readonly account: Account | undefined
  readonly home: string
  /** Removed at the end. */
  readonly runtime: string
  /** False makes initdb skip fsync; the server has options of its own for that. */
  readonly durable: boolean
  readonly serverOptions: ReadonlyArray<string>
}

type Watchdog = ChildProcessByStdio<Writable, null, Readable>

const failed = (detail: string, cause?: unknown) =>
  new EmbeddedPostgresError({ operation: "start", detail, ...(cause === undefined ? {} : { cause }) })

const spawnWatchdog = (options: WatchdogOptions): Effect.Effect<Watchdog, EmbeddedPostgresError> =>
  Effect.callback((resume) => {
    const { account, binaries } = options
    const child = spawn("/bin/sh", [
      "-c",
      SCRIPT,
      "ampsync-postgres-watchdog",
      binaries.postgres,
      binaries.initdb,
      options.home,
      options.runtime,
      options.durable ? "" : "--no-sync",
      ...options.serverOptions
    ], {
      cwd: "/",
      // A session of its own: Ctrl-C in the terminal must not stop the server before the last commit of the sync.
      detached: true,
      stdio: ["pipe", "ignore", "pipe"],
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC", ...binaries.environment },
      ...(account === undefined ? {} : { uid: account.uid, gid: account.gid })
    })
    child.once("spawn", () => resume(Effect.succeed(child)))
    child.once("error", (cause) => {
      const who = account === undefined ? "" : ` as ${account.name}`
      resume(Effect.fail(failed(`cannot run /bin/sh${who}`, cause)))
    })
  })

/** The watchdog waits up to 10 s for the server before it stops it at once. */
const STOP_TIMEOUT = "15 seconds"

const stop = (child: Watchdog): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.ref()
    child.once("exit", () => resume(Effect.void))
    child.stdin.end()
  }).pipe(Effect.timeoutOrElse({
    duration: STOP_TIMEOUT,
    orElse: () => Effect.sync(() => void (child.pid === undefined || process.kill(-child.pid, "SIGKILL")))
  }))

/**
 * Starts a server that lives until the scope closes or this process ends.
 *
 * The effect it returns waits until the server ends on its own, and fails with the last lines of its log.
 */
export const startServer = Effect.fnUntraced(
  function*(
    options: WatchdogOptions
  ): Effect.fn.Return<Effect.Effect<never, EmbeddedPostgresError>, EmbeddedPostgresError, Scope.Scope> {
    const child = yield* Effect.acquireRelease(spawnWatchdog(options), stop)
    const ended = yield* Deferred.make<never, EmbeddedPostgresError>()
    void text(child.stderr).then((log) => Deferred.doneUnsafe(ended, failed(`the server ended: ${log.trim()}`)))
    // The server must not keep this process alive: when the process ends, the pipe closes and the server with it.
    child.unref()
    // Typed as any stream, a pipe is a socket.
    if (child.stderr instanceof Socket) child.stderr.unref()
    return Deferred.await(ended)
  }
)
