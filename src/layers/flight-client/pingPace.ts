/** How often connections are pinged: by the setting, until a peer refuses that rate. */
import * as grpc from "@grpc/grpc-js"
import { Duration } from "effect"
import { type Connection, isReady } from "./connection.ts"

/** The current interval of pings, for all connections of a process. */
export interface PingPace {
  /** For the next connection; no pings where undefined. */
  readonly interval: () => Duration.Duration | undefined
  /** Raises the interval after a connection with the interval `refused` was closed for its pings; returns the new one. */
  readonly slowDown: (refused: Duration.Duration) => Duration.Duration
}

/**
 * The interval that gRPC's own servers tolerate without data, 5 minutes, and a margin for a ping that was late.
 * Source: https://github.com/grpc/proposal/blob/master/A8-client-side-keepalive.md
 */
const TOLERATED = Duration.seconds(330)

/** Starts at the setting; no pings where undefined. */
export const makePingPace = (setting: Duration.Duration | undefined): PingPace => {
  let interval = setting
  return {
    interval: () => interval,
    // Of many connections with the same interval only the first one that is closed changes it.
    slowDown: (refused) => {
      const slower = Duration.max(TOLERATED, Duration.times(refused, 2))
      return interval = Duration.max(slower, interval ?? slower)
    }
  }
}

/**
 * Whether the peer closed the connection because it was pinged too often: GOAWAY with ENHANCE_YOUR_CALM. grpc-js does not expose
 * the reason `too_many_pings`, but a stream that is refused with the same code leaves its connection ready.
 */
export const isPingedTooOften = (
  connection: Connection,
  { code, details }: grpc.ServiceError
): connection is Connection & { readonly pingInterval: Duration.Duration } =>
  connection.pingInterval !== undefined && code === grpc.status.RESOURCE_EXHAUSTED &&
  (details ?? "").startsWith("Bandwidth exhausted") && !isReady(connection) &&
  performance.now() - connection.openedAtMillis >= Duration.toMillis(connection.pingInterval)
