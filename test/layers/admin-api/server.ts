/** A small HTTP server that serves documents, and an `AdminApi` that reads from it. */
import { assert } from "@effect/vitest"
import { Effect, Layer, Redacted, Result } from "effect"
import { FetchHttpClient } from "effect/http"
import { createServer, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { type DatasetReference, parseDatasetReference } from "../../../src/domain/manifest/Dataset.ts"
import { layer } from "../../../src/layers/AdminApi.ts"
import { layerFrom } from "../../../src/layers/Config.ts"
import { AdminApi, AdminApiError } from "../../../src/services/AdminApi.ts"

/** A JSON document, or what a server does with the socket. */
export type Reply = { readonly status?: number; readonly json: unknown } | {
  readonly raw: (response: ServerResponse) => void
}
export type Routes = Readonly<Record<string, Reply | undefined>>

export interface Recorded {
  readonly url: string
  readonly paths: Array<string>
  readonly authorization: Array<string | undefined>
}

export const ok = (json: unknown): Reply => ({ json })
export const refused = (status: number, code: string, message: string): Reply => ({
  status,
  json: { error_code: code, error_message: message }
})
export const text = (status: number, body: string): Reply => ({
  raw: (response) => response.writeHead(status).end(body)
})

/** An HTTP server that serves `routes`, and otherwise a 404 without a document, as the real one does. */
export const serverOf = (routes: Routes, fallback: Reply = text(404, "")) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<{ readonly server: Server; readonly recorded: Recorded }>((resolve) => {
        const paths: Array<string> = []
        const authorization: Array<string | undefined> = []
        const server = createServer((request, response) => {
          const path = request.url ?? ""
          paths.push(path)
          authorization.push(request.headers.authorization)
          const reply = routes[path] ?? fallback
          if ("raw" in reply) return reply.raw(response)
          response.writeHead(reply.status ?? 200, { "content-type": "application/json" }).end(
            JSON.stringify(reply.json)
          )
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          resolve({ server, recorded: { url: `http://127.0.0.1:${port}`, paths, authorization } })
        })
      })
    ),
    ({ server }) =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        })
      )
  ).pipe(Effect.map(({ recorded }) => recorded))

export const apiAt = (url: string, token?: string, tokenFile?: string) =>
  layer.pipe(
    Layer.provide(layerFrom({
      DATASET_MANIFEST: "package.json",
      DATABASE_URL: "postgresql://me@h/db",
      AMP_ADMIN_API_ADDR: url,
      AMP_AUTH_TOKEN: token === undefined ? undefined : Redacted.make(token),
      AMP_AUTH_TOKEN_FILE: tokenFile
    })),
    Layer.provide(FetchHttpClient.layer)
  )

export const reference = (name: string): DatasetReference => Result.getOrThrow(parseDatasetReference(name))

export const datasetAt = (url: string, name: string, token?: string) =>
  Effect.flatMap(AdminApi, (api) => api.dataset(reference(name))).pipe(Effect.provide(apiAt(url, token)))

export const dataset = Effect.fnUntraced(function*(routes: Routes, name: string) {
  return yield* datasetAt((yield* serverOf(routes)).url, name)
})

export const failing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, AdminApiError)
    return error as AdminApiError
  })
