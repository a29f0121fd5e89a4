/** Lets a server listen for the time of a scope. */
import { Effect, type Scope } from "effect"
import type { AddressInfo, Server } from "node:net"
import { SimulatorError } from "./SimulatorError.ts"

/** The address on which a server listens; port 0 takes a free one. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Lets `server` listen until the scope closes; returns the port. `close` ends what is still open, at once. */
export const listen = (
  name: SimulatorError["server"],
  server: Server,
  address: Address,
  close: () => void
): Effect.Effect<number, SimulatorError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number, SimulatorError>((resume) => {
      const failed = (cause: Error) => resume(Effect.fail(new SimulatorError({ server: name, ...address, cause })))
      server.once("error", failed)
      server.listen(address.port, address.host, () => {
        server.removeListener("error", failed)
        resume(Effect.succeed((server.address() as AddressInfo).port))
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        close()
      })
  )
