import { type RecordBatch, tableFromIPC } from "apache-arrow"
import { createRequire } from "node:module"

/**
 * Reads the simulator with the Flight SQL client of arrow-rs, the library of the real servers.
 *
 * It validates what it receives (buffer sizes, offsets, null counts) and returns the data as an IPC stream. It
 * collects a whole result, so the query must end, and it panics on a message without data header.
 */

const PACKAGE = "@lakehouse-rs/flight-sql-client-linux-x64-gnu"

interface RustClient {
  readonly query: (sql: string) => Promise<Buffer>
}

interface RustPackage {
  readonly createFlightSqlClient: (options: {
    readonly host: string
    readonly port: number
    readonly tls: boolean
    readonly headers: ReadonlyArray<{ readonly key: string; readonly value: string }>
  }) => Promise<RustClient>
}

const loadPackage = (): RustPackage | undefined => {
  try {
    return createRequire(import.meta.url)(PACKAGE) as RustPackage
  } catch {
    return undefined
  }
}

/** Why the Rust client cannot run here; undefined where it can. */
export const rustUnavailable: string | undefined = loadPackage() === undefined
  ? `the optional package ${PACKAGE} is not installed on this platform`
  : undefined

/** All batches of `sql`, read by the Rust client at `url`. */
export const rustBatches = async (
  url: string,
  sql: string,
  headers: Readonly<Record<string, string>> = {}
): Promise<ReadonlyArray<RecordBatch>> => {
  const rust = loadPackage()
  if (rust === undefined) throw new Error(rustUnavailable)
  const { hostname, port } = new URL(url)
  const client = await rust.createFlightSqlClient({
    host: hostname,
    port: Number(port),
    tls: false,
    headers: Object.entries(headers).map(([key, value]) => ({ key, value }))
  })
  return tableFromIPC(await client.query(sql)).batches
}
