/** The database of the benchmark: embedded PostgreSQL with fsync, and one connection of ours that watches it. */
import { Effect, Redacted, type Scope } from "effect"
import { chmod, readFile } from "node:fs/promises"
import { join } from "node:path"
import pg from "pg"
import { startIn } from "../../src/demo/embedded-postgres/layer.ts"

export interface Postgres {
  readonly port: number
  /** The connection string through `port`, which may be that of a proxy. */
  readonly urlThrough: (port: number) => string
  readonly version: string
  readonly postmasterPid: number
  /** A connection that is counted out of the CPU time of the backends. */
  readonly monitor: pg.Client
  readonly monitorPid: number
}

/**
 * What a server for real loads is set to, as far as no restart is needed: the embedded server keeps its 128 MB of
 * shared_buffers. No checkpoint and no autovacuum falls into one measurement and not into the next.
 */
const SETTINGS = {
  max_wal_size: "8GB",
  checkpoint_timeout: "1h",
  autovacuum: "off"
}

const tune = async (monitor: pg.Client): Promise<void> => {
  for (const [name, value] of Object.entries(SETTINGS)) await monitor.query(`ALTER SYSTEM SET ${name} = '${value}'`)
  await monitor.query("SELECT pg_reload_conf()")
}

/** Starts a server in `directory`, with fsync, which stops when the scope closes. */
export const startPostgres = (directory: string): Effect.Effect<Postgres, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    // The server's account must be able to enter, where root runs the benchmark.
    yield* Effect.promise(() => chmod(directory, 0o711))
    const server = yield* startIn(join(directory, "postgres"))
    const urlThrough = (port: number): string => {
      const url = new URL(Redacted.value(server.url))
      url.port = String(port)
      return url.href
    }
    const monitor = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new pg.Client({ connectionString: urlThrough(server.port) })
        client.on("error", () => undefined)
        await client.connect()
        await tune(client)
        return client
      }),
      (client) => Effect.promise(() => client.end().catch(() => undefined))
    )
    const { rows: [row] } = yield* Effect.promise(() =>
      monitor.query<{ pid: number; version: string }>(
        "SELECT pg_backend_pid() AS pid, current_setting('server_version') AS version"
      )
    )
    const pidFile = yield* Effect.promise(() => readFile(join(server.dataDirectory, "postmaster.pid"), "utf8"))
    return {
      port: server.port,
      urlThrough,
      version: row!.version,
      postmasterPid: Number.parseInt(pidFile, 10),
      monitor,
      monitorPid: row!.pid
    }
  })
