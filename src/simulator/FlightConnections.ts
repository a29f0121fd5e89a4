/** Connection faults of the simulator: resets, GOAWAY, frozen sockets, maintenance pages. */
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2"
import type { Socket } from "node:net"

/**
 * The open Flight connections, and what servers and gateways do to connections below the level of calls.
 */
export class FlightConnections {
  /** New connections get a web page for every call, under HTTP 200. */
  maintenancePage = false

  private readonly sockets = new Map<string, Socket>()
  private readonly streams = new Set<ServerHttp2Stream>()
  private readonly page = createServer().on("stream", answerWithPage)
  private pingPolicy: PingPolicy | undefined

  get size(): number {
    return this.sockets.size
  }

  add(peer: string, socket: Socket): void {
    this.sockets.set(peer, socket)
    socket.once("close", () => this.sockets.delete(peer))
  }

  /** Passes a connection to `server`, or to the maintenance page. */
  serve(socket: Socket, server: (socket: Socket) => void): void {
    if (this.maintenancePage) this.page.emit("connection", socket)
    else server(socket)
  }

  /** Watches the connections and the streams of the HTTP/2 server. */
  watch(server: Http2Server): void {
    server.on("session", (session) => this.countPings(session))
    server.on("stream", (stream) => {
      this.streams.add(stream)
      stream.once("close", () => this.streams.delete(stream))
    })
  }

  /** Resets the connection of `peer` (RST); of all peers where none is named. */
  reset(peer?: string): void {
    for (const [each, socket] of this.sockets) if (peer === undefined || each === peer) socket.resetAndDestroy()
  }

  /** Closes the connection of `peer` in good order (FIN). */
  close(peer: string): void {
    this.sockets.get(peer)?.destroy()
  }

  oldest(): string | undefined {
    return this.sockets.keys().next().value
  }

  enforcePings(policy: PingPolicy | undefined): void {
    this.pingPolicy = policy
  }

  /** Ends every stream by RST_STREAM with NO_ERROR, without trailers. */
  resetStreams(): void {
    for (const stream of this.streams) stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /** Stops reading, or reads again. Received data is still acknowledged by TCP until its buffers are full. */
  setReading(reading: boolean): void {
    for (const socket of this.sockets.values()) {
      // HTTP/2 takes the handle of a socket for itself, so that pausing the socket is without effect.
      const { _handle: handle } = socket as Socket & { readonly _handle: ReadHandle | null }
      if (reading) handle?.readStart()
      else handle?.readStop()
    }
  }

  /** As gRPC's own servers count: https://github.com/grpc/proposal/blob/master/A8-client-side-keepalive.md */
  private countPings(session: ServerHttp2Session): void {
    let last: number | undefined
    let strikes = 0
    session.on("ping", () => {
      const policy = this.pingPolicy
      const now = Date.now()
      if (policy !== undefined && last !== undefined && now - last < policy.minIntervalMillis) strikes += 1
      last = now
      if (policy === undefined || strikes <= policy.maxStrikes) return
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from("too_many_pings"))
      session.destroy()
    })
  }
}

export interface PingPolicy {
  readonly minIntervalMillis: number
  /** The number of early pings that are tolerated per connection. */
  readonly maxStrikes: number
}

interface ReadHandle {
  readonly readStart: () => void
  readonly readStop: () => void
}

const answerWithPage = (stream: ServerHttp2Stream): void => {
  stream.on("error", () => stream.destroy())
  stream.respond({ ":status": 200, "content-type": "text/html; charset=utf-8" })
  stream.end("<!DOCTYPE html><html><body>We will be back soon.</body></html>")
}
