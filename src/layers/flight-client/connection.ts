/** One HTTP/2 connection of grpc-js, for one query. */
import * as grpc from "@grpc/grpc-js"
import { Duration } from "effect"
import { mayUseProxy, proxyVariable } from "./proxy.ts"

/** A channel and how it was opened. */
export interface Connection {
  readonly client: grpc.Client
  /** No pings where undefined. */
  readonly pingInterval: Duration.Duration | undefined
  /** Elapsed milliseconds of `performance.now`. */
  readonly openedAtMillis: number
  /** The address for the end of a message: `(at https://host, which AMP_FLIGHT_ADDR names)`. */
  readonly place: string
  /** Whether an HTTP proxy of the environment is in between. */
  readonly isProxied: boolean
}

/** The settings of a channel. */
export interface ConnectionSettings {
  readonly address: URL
  readonly maxMessageBytes: number
  readonly pingInterval: Duration.Duration | undefined
}

/** How long the response to a ping may take; at most the interval. */
const PING_TIMEOUT = Duration.seconds(10)

/** Opens a channel, which connects with the first call. */
export const connect = ({ address, maxMessageBytes, pingInterval }: ConnectionSettings): Connection => {
  const secure = address.protocol === "https:"
  const target = `${address.hostname}:${address.port || (secure ? "443" : "80")}`
  const credentials = secure ? grpc.credentials.createSsl() : grpc.credentials.createInsecure()
  const client = new grpc.Client(target, credentials, {
    "grpc.max_receive_message_length": maxMessageBytes,
    // The default window of 64 KiB caps a stream at 64 KiB per round trip; larger ones than 1 MiB gain nothing on loopback.
    "grpc-node.flow_control_window": 1024 * 1024,
    // Between blocks the server sends nothing: only pings detect a peer that is gone.
    ...(pingInterval === undefined ? {} : {
      "grpc.keepalive_time_ms": Duration.toMillis(pingInterval),
      "grpc.keepalive_timeout_ms": Duration.toMillis(Duration.min(pingInterval, PING_TIMEOUT))
    }),
    // The retry schedule of the tables decides when to reconnect, so the channel must not wait longer.
    "grpc.initial_reconnect_backoff_ms": 250,
    "grpc.max_reconnect_backoff_ms": 5_000,
    // Without it all clients of the process would share one connection.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": mayUseProxy(address, process.env) ? 1 : 0
  })
  const connectTarget = client.getChannel().getTarget().replace(/^dns:/, "")
  const isProxied = connectTarget !== target
  const through = isProxied ? `, through the proxy ${connectTarget} of ${proxyVariable(process.env)}` : ""
  return {
    client,
    pingInterval,
    openedAtMillis: performance.now(),
    place: `(at ${address.origin}, which AMP_FLIGHT_ADDR names${through})`,
    isProxied
  }
}

/** Whether the channel is connected. */
export const isReady = ({ client }: Connection): boolean =>
  client.getChannel().getConnectivityState(false) === grpc.connectivityState.READY
