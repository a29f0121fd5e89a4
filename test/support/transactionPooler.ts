/** A pooler on the loopback that lends the sessions of PostgreSQL by transaction, as PgBouncer does in that mode. */
import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

/** Source: PostgreSQL, doc "Message Formats". */
const READY = "Z".charCodeAt(0)
const KEY_DATA = "K".charCodeAt(0)
const TERMINATE = "X".charCodeAt(0)
const IDLE = "I".charCodeAt(0)

/** Cuts a stream of bytes into messages of one byte type and four bytes length. */
const messageReader = () => {
  let rest = Buffer.alloc(0)
  return (bytes: Buffer): ReadonlyArray<Buffer> => {
    rest = Buffer.concat([rest, bytes])
    const messages: Array<Buffer> = []
    while (rest.length >= 5 && rest.length >= 1 + rest.readInt32BE(1)) {
      const end = 1 + rest.readInt32BE(1)
      messages.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    return messages
  }
}

interface Session {
  readonly socket: Socket
  /** The client whose transaction it has. */
  client: Socket | undefined
}

/**
 * Passes on to `port`, for clients without TLS that are all of one role. A client logs in on a session of its own, which any
 * client gets from then on: the one that was used last first.
 */
export const startTransactionPooler = (port: number): Effect.Effect<{ readonly port: number }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sessions = new Set<Session>()
    const free: Array<Session> = []
    const sockets = new Set<Socket>()
    const opened = (socket: Socket): Socket => {
      sockets.add(socket)
      return socket.on("error", () => socket.destroy()).once("close", () => sockets.delete(socket))
    }
    const openSession = (client: Socket): Session => {
      const session: Session = { socket: opened(connect({ host: "127.0.0.1", port, noDelay: true })), client }
      const read = messageReader()
      session.socket.on("data", (bytes) => {
        for (const message of read(bytes)) {
          // Poolers give process ids of their own.
          if (message[0] === KEY_DATA) message.writeInt32BE(1, 5)
          session.client?.write(message)
          if (message[0] === READY && message[5] === IDLE) {
            session.client = undefined
            free.push(session)
          }
        }
      })
      sessions.add(session)
      return session
    }
    const sessionOf = (client: Socket): Session | undefined =>
      [...sessions].find((session) => session.client === client)
    const server = createServer({ noDelay: true }, (socket) => {
      const client = opened(socket)
      const read = messageReader()
      // The first message has no type.
      client.once("data", (startup) => {
        openSession(client).socket.write(startup)
        client.on("data", (bytes) => {
          for (const message of read(bytes)) {
            const session = message[0] === TERMINATE ? undefined : sessionOf(client) ?? free.pop()
            if (session === undefined) return client.destroy()
            session.client = client
            session.socket.write(message)
          }
        })
      })
      client.once("close", () => sessionOf(client)?.socket.destroy())
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    )
    return { port: (server.address() as { readonly port: number }).port }
  })
