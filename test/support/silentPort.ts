/** Ports that accept connections and then say nothing of use. */
import { Effect, type Scope } from "effect"
import { createServer, type Socket } from "node:net"

/** A free port on the loopback that accepts connections, answers the first bytes with `answer`, and never writes again. */
export const silentPort = (answer = ""): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
        const sockets = new Set<Socket>()
        const server = createServer((socket) => {
          sockets.add(socket.on("error", () => {}).once("data", () => socket.write(answer)))
        })
        server.listen(0, "127.0.0.1", () => {
          const close = () => {
            server.close()
            for (const socket of sockets) socket.destroy()
          }
          resume(Effect.succeed({ port: (server.address() as { port: number }).port, close }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ port }) => port
  )
