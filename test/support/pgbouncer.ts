/** PgBouncer in transaction mode, where it is installed: it is not on npm. */
import { Effect, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import { once } from "node:events"
import { writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { join } from "node:path"
import { start } from "../../scripts/bench/children.ts"
import { serverAccount } from "../../src/demo/embedded-postgres/account.ts"
import { freePort, LOOPBACK } from "../../src/demo/freePort.ts"
import { reachableDirectory } from "./cluster.ts"
import { eventually } from "./eventually.ts"

const COMMAND = "pgbouncer"

/** Why there is none; undefined where there is one. */
export const pgbouncerUnavailable: string | undefined = spawnSync(COMMAND, ["--version"]).status === 0
  ? undefined
  : "PgBouncer is not installed"

const accepts = (port: number) =>
  Effect.promise(() =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host: LOOPBACK, port })
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
      socket.once("connect", () => socket.destroy())
    })
  )

/** Starts one in front of the server of `url`, for clients without TLS; it stops when the scope closes. */
export const startPgbouncer = Effect.fnUntraced(function*(
  url: string
): Effect.fn.Return<{ readonly port: number }, never, Scope.Scope> {
  const { hostname, password, port, username } = new URL(url)
  const directory = yield* reachableDirectory
  const [listenOn, account] = [yield* Effect.orDie(freePort), yield* Effect.orDie(serverAccount)]
  const [settings, users] = [join(directory, "pgbouncer.ini"), join(directory, "users")]
  yield* Effect.promise(() => writeFile(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`))
  yield* Effect.promise(() =>
    writeFile(
      settings,
      `[databases]
* = host=${hostname} port=${port}
[pgbouncer]
listen_addr = ${LOOPBACK}
listen_port = ${listenOn}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = transaction
default_pool_size = 10
`
    )
  )
  let output = ""
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = start(COMMAND, [settings], {
        stdio: ["ignore", "ignore", "pipe"],
        ...(account === undefined ? {} : { uid: account.uid, gid: account.gid })
      })
      child.stderr?.setEncoding("utf8").on("data", (text: string) => output += text)
      return { child, exited: once(child, "exit") }
    }),
    ({ child, exited }) =>
      Effect.promise(async () => {
        child.kill("SIGKILL")
        await exited
      })
  )
  yield* eventually(() => `PgBouncer answers; its log:\n${output}`, accepts(listenOn))
  return { port: listenOn }
})
