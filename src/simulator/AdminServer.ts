/** The read side of the Admin API: JSON over HTTP, with the routes of the dialect. */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { ampRoutes } from "./adminAmp.ts"
import { nozzleRoutes } from "./adminNozzle.ts"
import { adminError, type AdminRequest, type AdminResponse } from "./adminResponse.ts"
import type { Dataset } from "./datasets.ts"
import type { Faults } from "./faults.ts"
import { type Address, listen } from "./listen.ts"
import type { SimulatorError } from "./SimulatorError.ts"
import type { Dialect } from "./tables.ts"

export interface AdminServerOptions extends Address {
  readonly dialect: Dialect
  readonly datasets: ReadonlyArray<Dataset>
  readonly faults: Faults
}

/** Serves until the scope closes; returns the port. */
export const serveAdmin = (options: AdminServerOptions): Effect.Effect<number, SimulatorError, Scope.Scope> => {
  const routes = options.dialect === "nozzle" ? nozzleRoutes : ampRoutes
  const server = createServer((request, response) => {
    void answer(options, routes, request).then((_) => write(response, _), () => write(response, { status: 400 }))
  })
  return listen("Admin API", server, options, () => server.closeAllConnections())
}

type Routes = (datasets: ReadonlyArray<Dataset>, request: AdminRequest) => AdminResponse

const answer = async (
  options: AdminServerOptions,
  routes: Routes,
  request: IncomingMessage
): Promise<AdminResponse> => {
  const { faults } = options
  const body = await bodyOf(request)
  await faults.whenServing()
  if (faults.adminDelayMillis > 0) await new Promise((resolve) => setTimeout(resolve, faults.adminDelayMillis))
  if (!faults.admits(request.headers.authorization)) {
    return adminError(401, "UNAUTHENTICATED", "missing or invalid bearer token")
  }
  const failure = faults.takeAdminFailure()
  if (failure !== undefined) return adminError(failure, "METADATA_DB_ERROR", "injected failure")
  const url = new URL(request.url ?? "/", "http://simulator")
  return routes(options.datasets, {
    method: request.method ?? "GET",
    path: url.pathname.split("/").slice(1).map(decodeURIComponent),
    query: url.searchParams,
    body
  })
}

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return undefined
  }
}

const write = (response: ServerResponse, { body, status }: AdminResponse): void => {
  if (body === undefined) response.writeHead(status).end()
  else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
}
