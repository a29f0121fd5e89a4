/** A TCP proxy before PostgreSQL in a process of its own: adds a delay, a limit of bandwidth, a standstill, or cuts. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { now } from "./clock.ts"
import { serve } from "./serve.ts"

export interface Shape {
  /** Added to a round trip, all of it on the way back, without a limit of bandwidth. */
  readonly roundTripMillis?: number
  /** Limit over all connections, from the client to the server. */
  readonly bytesPerSecond?: number
  /** Reads nothing more from the clients once they have sent so many bytes. */
  readonly freezeAfterBytes?: number
  /** Cuts a connection whenever the clients have sent so many bytes more. */
  readonly cutEveryBytes?: number
}

/** Bytes under way in one direction: more than a loopback brings in 12 ms. */
const MAX_UNDER_WAY = 64 * 1024 * 1024
/** A slow server is felt by its client: no more than a socket's buffer is hidden here. */
const MAX_UNDER_WAY_SLOW = 64 * 1024

let shape: Shape = {}
let received = 0
let linkFreeAt = 0
let frozen = false
const clients = new Set<Socket>()

const freezeIfDue = (): void => {
  if (shape.freezeAfterBytes === undefined || received < shape.freezeAfterBytes) return
  frozen = true
  for (const client of clients) client.pause()
}

/** Passes bytes on in their order, each when it is due. */
const forward = (from: Socket, to: Socket, upward: boolean): void => {
  const queue: Array<{ readonly bytes: Buffer; readonly due: number }> = []
  let underWay = 0
  let waiting = false
  let blocked = false
  const mostUnderWay = () => upward && shape.bytesPerSecond !== undefined ? MAX_UNDER_WAY_SLOW : MAX_UNDER_WAY
  const flush = (): void => {
    waiting = false
    while (!blocked && queue.length > 0 && queue[0]!.due <= now()) {
      const { bytes } = queue.shift()!
      underWay -= bytes.length
      if (!to.write(bytes)) {
        blocked = true
        to.once("drain", () => {
          blocked = false
          flush()
        })
      }
    }
    if (underWay < mostUnderWay() && !(upward && frozen)) from.resume()
    if (!blocked && queue.length > 0) flushWhenDue(queue[0]!.due - now())
  }
  const flushWhenDue = (millis: number): void => {
    if (waiting) return
    waiting = true
    // Timers count whole milliseconds; the fraction is spent in turns of the event loop.
    if (millis >= 1) setTimeout(flush, Math.floor(millis) - 1)
    else setImmediate(flush)
  }
  const dueOf = (bytes: Buffer): number => {
    // The client waits equally long either way, and answers are few: so the rows need no timers.
    if (!upward) return now() + (shape.roundTripMillis ?? 0)
    if (shape.bytesPerSecond === undefined) return now()
    linkFreeAt = Math.max(linkFreeAt, now()) + (bytes.length / shape.bytesPerSecond) * 1000
    return linkFreeAt
  }
  from.on("data", (bytes: Buffer) => {
    if (upward) {
      const before = received
      received += bytes.length
      const { cutEveryBytes } = shape
      if (cutEveryBytes !== undefined && Math.floor(received / cutEveryBytes) > Math.floor(before / cutEveryBytes)) {
        return void from.destroy()
      }
    }
    queue.push({ bytes, due: dueOf(bytes) })
    underWay += bytes.length
    if (underWay >= mostUnderWay()) from.pause()
    if (upward) freezeIfDue()
    if (!waiting && !blocked) flush()
  })
}

let targetPort = 0

const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ host: "127.0.0.1", port: targetPort, noDelay: true })
  clients.add(client)
  const end = () => {
    client.destroy()
    upstream.destroy()
    clients.delete(client)
  }
  for (const socket of [client, upstream]) socket.on("error", end).on("close", end)
  forward(client, upstream, true)
  forward(upstream, client, false)
  if (frozen) client.pause()
})

const handlers = {
  /** Listens on a free port, which is the answer. */
  listen: (port: number): Promise<number> => {
    targetPort = port
    return new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
    })
  },
  /** Replaces what was asked for before, and counts the clients' bytes from now on. */
  shape: (wanted: Shape): void => {
    shape = wanted
    received = 0
    linkFreeAt = 0
    frozen = false
    for (const client of clients) client.resume()
    freezeIfDue()
  },
  isFrozen: (): boolean => frozen
}

export type ProxyHandlers = typeof handlers

serve(handlers)
