/** Starts the one PostgreSQL server of a test run. */
import { Effect, ManagedRuntime, Redacted } from "effect"
import type { TestProject } from "vitest/node"
import { layer } from "../../src/demo/embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "../../src/demo/EmbeddedPostgres.ts"

declare module "vitest" {
  export interface ProvidedContext {
    /** A superuser's connection string; `inject("postgresUrl")` reads it. */
    readonly postgresUrl: string
  }
}

/** Vitest calls the returned function when the run ends; when the run is killed, the server's watchdog does it. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const runtime = ManagedRuntime.make(layer)
  const url = await runtime.runPromise(Effect.map(EmbeddedPostgres, (server) => Redacted.value(server.url)))
  project.provide("postgresUrl", url)
  return () => runtime.dispose()
}
