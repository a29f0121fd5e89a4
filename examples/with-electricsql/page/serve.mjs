// Serves the page, and the shapes that it reads: ElectricSQL itself is not reachable from a browser.
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { dirname, join } from "node:path"
import { Readable } from "node:stream"
import { fileURLToPath } from "node:url"

const electric = process.env.ELECTRIC_URL ?? "http://127.0.0.1:3000"
const folder = dirname(fileURLToPath(import.meta.url))

// What may be read, with its columns: the key is part of every shape.
const SHAPES = {
  blocks: "_block_num,_row_index,timestamp,hash,gas_used",
  _ampsync_checkpoints: "table_name,max_block_num",
  _ampsync_reorgs: "id,table_name,seen_at,first_block,depth"
}
// Parameters of ElectricSQL's protocol; a browser chooses neither table nor columns.
const PROTOCOL = ["offset", "handle", "live", "live_sse", "cursor", "expired_handle", "log", "cache-buster"]
const HEADERS = ["content-type", "cache-control", "etag"]

const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/page.js": ["page.js", "text/javascript"],
  "/style.css": ["style.css", "text/css"],
  "/electric.js": ["node_modules/@electric-sql/client/dist/index.browser.mjs", "text/javascript"]
}

const serveFile = async (response, [file, type]) => {
  const body = await readFile(join(folder, file))
  response.writeHead(200, { "content-type": type }).end(body)
}

const serveShape = async (response, table, query) => {
  const url = new URL("/v1/shape", electric)
  for (const name of PROTOCOL) if (query.has(name)) url.searchParams.set(name, query.get(name))
  url.searchParams.set("table", table)
  url.searchParams.set("columns", SHAPES[table])
  const abort = new AbortController()
  response.once("close", () => abort.abort())
  const answer = await fetch(url, { signal: abort.signal })
  const headers = Object.fromEntries(
    [...answer.headers].filter(([name]) => name.startsWith("electric-") || HEADERS.includes(name))
  )
  response.writeHead(answer.status, headers)
  if (answer.body === null) response.end()
  else Readable.fromWeb(answer.body).on("error", () => response.destroy()).pipe(response)
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost")
  const table = pathname.startsWith("/shapes/") ? pathname.slice("/shapes/".length) : undefined
  const answered = Object.hasOwn(FILES, pathname)
    ? serveFile(response, FILES[pathname])
    : table !== undefined && Object.hasOwn(SHAPES, table)
    ? serveShape(response, table, searchParams)
    : Promise.resolve(response.writeHead(404).end())
  answered.catch((error) => {
    if (response.headersSent) return response.destroy()
    response.writeHead(502, { "content-type": "text/plain" }).end(`${error.message}\n`)
  })
})

server.listen(Number(process.env.PORT ?? 8000), process.env.HOST ?? "0.0.0.0", () => {
  console.log(`listening on port ${server.address().port}`)
})
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => process.exit(0))
