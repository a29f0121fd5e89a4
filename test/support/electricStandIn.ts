/**
 * A stand-in for ElectricSQL, which is no npm package: its HTTP API for shapes, with a table that is read again and again in
 * the place of the write-ahead log.
 *
 * Source: the requests and headers of @electric-sql/client 1.5, which reads from it.
 */
import { Effect, type Scope } from "effect"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { TestDatabase } from "./postgres.ts"

type Values = Readonly<Record<string, string | null>>

interface Message {
  readonly key: string
  readonly value: Values
  readonly headers: { readonly operation: "insert" | "update" | "delete" }
}

interface Shape {
  readonly handle: string
  readonly schema: string
  readonly log: Array<Message>
  rows: ReadonlyMap<string, Values>
}

const POLL_MILLIS = 200
const LIVE_MILLIS = 5_000

/** What turned one state of a table into the next: deletions first, as a reorg is written. */
const changes = (before: ReadonlyMap<string, Values>, after: ReadonlyMap<string, Values>): ReadonlyArray<Message> => {
  const of = (operation: Message["headers"]["operation"]) => ([key, value]: readonly [string, Values]): Message => ({
    key,
    value,
    headers: { operation }
  })
  const isOther = (key: string, value: Values) => JSON.stringify(before.get(key)) !== JSON.stringify(value)
  return [
    ...[...before].filter(([key]) => !after.has(key)).map(of("delete")),
    ...[...after].filter(([key]) => !before.has(key)).map(of("insert")),
    ...[...after].filter(([key, value]) => before.has(key) && isOther(key, value)).map(of("update"))
  ]
}

class Shapes {
  private readonly shapes = new Map<string, Promise<Shape>>()
  private readonly query: (sql: string, params?: ReadonlyArray<unknown>) => Promise<ReadonlyArray<Values>>

  constructor({ query }: TestDatabase) {
    this.query = (sql, params) => Effect.runPromise(query<Record<string, string | null>>(sql, params))
  }

  find(table: string, columns: ReadonlyArray<string>): Promise<Shape> {
    const known = this.shapes.get(table)
    if (known !== undefined) return known
    const made = this.make(table, columns)
    this.shapes.set(table, made)
    return made
  }

  private async make(table: string, columns: ReadonlyArray<string>): Promise<Shape> {
    const keys = await this.query(
      `SELECT attname::text AS name FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
       WHERE indrelid = $1::regclass AND indisprimary`,
      [table]
    )
    const types = await this.query(
      `SELECT attname::text AS name, typname::text AS type FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
       WHERE attrelid = $1::regclass AND attname = ANY($2)`,
      [table, columns]
    )
    for (const { name } of keys) if (!columns.includes(name!)) throw new Error(`the key of ${table} has ${name}`)
    const schema = Object.fromEntries(types.map(({ name, type }) => [name, { type }]))
    const shape: Shape = { handle: `${table}-1`, schema: JSON.stringify(schema), log: [], rows: new Map() }
    const read = async () => {
      const rows = await this.query(`SELECT ${columns.map((name) => `"${name}"::text`).join(", ")} FROM "${table}"`)
      const after = new Map(rows.map((row) => [keys.map(({ name }) => row[name!]).join("/"), row]))
      shape.log.push(...changes(shape.rows, after))
      shape.rows = after
    }
    await read()
    setInterval(() => void read().catch(() => undefined), POLL_MILLIS).unref()
    return shape
  }
}

const answer = (response: ServerResponse, shape: Shape, from: number): void => {
  const messages = [...shape.log.slice(from), { headers: { control: "up-to-date" } }]
  response.writeHead(200, {
    "content-type": "application/json",
    "electric-handle": shape.handle,
    "electric-offset": `0_${shape.log.length}`,
    "electric-schema": shape.schema,
    "electric-cursor": `${Date.now()}`,
    "electric-up-to-date": ""
  }).end(JSON.stringify(messages))
}

const serve = async (shapes: Shapes, url: URL, response: ServerResponse): Promise<void> => {
  const { searchParams: query } = url
  const shape = await shapes.find(query.get("table")!, query.get("columns")!.split(","))
  const offset = query.get("offset")!
  const from = offset === "-1" ? 0 : Number(offset.split("_")[1])
  const until = Date.now() + (query.get("live") === "true" ? LIVE_MILLIS : 0)
  while (shape.log.length <= from && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50))
  answer(response, shape, from)
}

/** Its address. It ends when the scope closes. */
export const startElectricStandIn = (database: TestDatabase): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const shapes = new Shapes(database)
        const server = createServer((request, response) => {
          serve(shapes, new URL(request.url!, "http://localhost"), response).catch((error: unknown) => {
            response.writeHead(500).end(String(error))
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )
