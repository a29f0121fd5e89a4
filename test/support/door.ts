/** A way to a server that a test closes: its port refuses connections then, as that of a server that is down. */
import { Effect, Exit, Scope } from "effect"
import { type Proxy, startProxy } from "./proxy.ts"

export interface Door {
  readonly port: number
  readonly open: Effect.Effect<void>
  readonly close: Effect.Effect<void>
  /** What connects gets no answer from now on, and what is connected none either, until it is opened. */
  readonly silence: Effect.Effect<void>
  /** Connections that are open now. */
  readonly connections: () => number
}

/** One to `target` on the loopback, open at first. */
export const makeDoor = Effect.fnUntraced(function*(target: number): Effect.fn.Return<Door, never, Scope.Scope> {
  let current: { readonly proxy: Proxy; readonly scope: Scope.Closeable } | undefined
  const start = Effect.fnUntraced(function*(listenOn: number) {
    const scope = yield* Scope.make()
    const proxy = yield* Scope.provide(startProxy(target, listenOn), scope)
    current = { proxy, scope }
    return proxy.port
  })
  const close = Effect.suspend(() => {
    const before = current
    current = undefined
    return before === undefined ? Effect.void : Scope.close(before.scope, Exit.void)
  })
  yield* Effect.addFinalizer(() => close)
  const port = yield* start(0)
  return {
    port,
    open: Effect.suspend(() =>
      current === undefined ? Effect.asVoid(start(port)) : Effect.sync(() => current?.proxy.restore())
    ),
    close,
    silence: Effect.sync(() => current?.proxy.freeze()),
    connections: () => current?.proxy.connections() ?? 0
  }
})

/** The port of an address on the loopback. */
export const portOf = (url: string): number => Number(new URL(url).port)
