/** How often connections are pinged: as the setting asks for, until a peer refuses it. */
import * as grpc from "@grpc/grpc-js"
import { Duration } from "effect"
import { type Connection, isReady } from "./connection.ts"

export interface PingPace {
  /** For the next connection; no pings where undefined. */
  readonly interval: () => Duration.Duration | undefined
  /** Takes note of a connection that was closed for its pings. */
  readonly slowDown: (refused: Duration.Duration) => Duration.Duration
}

/**
 * What gRPC's own servers put up with when no data flows, 5 minutes, and a margin for a ping that was late before one in time.
 * Source: https://github.com/grpc/proposal/blob/master/A8-client-side-keepalive.md
 */
const TOLERATED = Duration.seconds(330)

export const makePingPace = (setting: Duration.Duration | undefined): PingPace => {
  let interval = setting
  return {
    interval: () => interval,
    // Of many connections that were opened at the same pace only the first one to be closed changes it.
    slowDown: (refused) => {
      const slower = Duration.max(TOLERATED, Duration.times(refused, 2))
      return interval = Duration.max(slower, interval ?? slower)
    }
  }
}

/**
 * Whether the peer closed the connection because it was pinged too often: GOAWAY with ENHANCE_YOUR_CALM. grpc-js keeps the reason
 * `too_many_pings` to itself, but a stream that is refused with the same code leaves its connection ready.
 */
export const isPingedTooOften = (
  connection: Connection,
  { code, details }: grpc.ServiceError
): connection is Connection & { readonly pingInterval: Duration.Duration } =>
  connection.pingInterval !== undefined && code === grpc.status.RESOURCE_EXHAUSTED &&
  (details ?? "").startsWith("Bandwidth exhausted") && !isReady(connection) &&
  Date.now() - connection.openedAtMillis >= Duration.toMillis(connection.pingInterval)
