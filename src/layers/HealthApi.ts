import { Effect, Layer } from "effect"
import { NetAddress } from "effect/net"
import * as log from "../domain/logLines.ts"
import { inTarget } from "../domain/logTargets.ts"
import { ConfigError, type HealthSettings, SyncConfig } from "../services/Config.ts"
import type { SyncStatus } from "../services/SyncStatus.ts"

/**
 * Serves `HealthApi` where the settings ask for it, for as long as the layer lives.
 *
 * Needs neither database nor server, so that a process that waits for them answers as well. Fails where it cannot listen.
 */
export const layer: Layer.Layer<never, ConfigError, SyncConfig | SyncStatus> = Layer.effectDiscard(
  Effect.gen(function*() {
    const { health } = yield* SyncConfig
    if (health === undefined) return
    const { serve } = yield* Effect.promise(() => import("./health-api/serve.ts"))
    const address = yield* Effect.mapError(serve(health.host, health.port), ({ cause }) => cannotListen(health, cause))
    yield* Effect.logInfo(log.healthServed(openable(NetAddress.formatSocketAddress(address))))
  }).pipe(inTarget("ampsync::health_api"))
)

const ON_ALL = /^(?:0\.0\.0\.0|\[::\]):/

/** An address that a browser can open, also where it is served on all of them. */
const openable = (address: string): string =>
  ON_ALL.test(address)
    ? `${address.replace(ON_ALL, (all) => all.startsWith("0") ? "127.0.0.1:" : "[::1]:")} (listening on every address)`
    : address

/** The port is the usual culprit; anything but these codes is about the address. */
const cannotListen = ({ host, port }: HealthSettings, cause: unknown): ConfigError => {
  const { code = "unknown", message } = cause as NodeJS.ErrnoException
  const isPort = code === "EADDRINUSE" || code === "EACCES"
  return new ConfigError({
    problems: [
      isPort
        ? {
          variable: "HEALTH_PORT",
          found: `is ${port}, and this process cannot listen there: ${message}`,
          allowed: code === "EACCES" ? "a port that this user may listen on" : "a port that no other program listens on"
        }
        : {
          variable: "HEALTH_HOST",
          found: `is "${host}", and this process cannot listen there: ${message}`,
          allowed: "a host name or an address of this machine"
        }
    ]
  })
}
