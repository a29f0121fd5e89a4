/** Ports for servers that this machine alone reaches. */
import { Effect } from "effect"
import { type AddressInfo, createServer } from "node:net"

export const LOOPBACK = "127.0.0.1"

/** A port that nothing listens on now; another process may take it before it is used. */
export const freePort: Effect.Effect<number, Error> = Effect.callback((resume) => {
  const server = createServer()
  server.once("error", (cause) => resume(Effect.fail(cause)))
  server.listen(0, LOOPBACK, () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})
