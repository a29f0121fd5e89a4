/** The side of a helper process: answers the calls of the benchmark, and ends with it. */
import type { Handlers, Reply, Request } from "./helper.ts"

const send = (reply: Reply): void => void process.send?.(reply)

/** Answers calls with `handlers` until the benchmark is gone. */
export const serve = (handlers: Handlers): void => {
  process.on("disconnect", () => process.exit())
  process.on("SIGTERM", () => process.exit())
  process.on("message", ({ argument, id, name }: Request) => {
    const handler = handlers[name] as ((argument: unknown) => unknown) | undefined
    void Promise.resolve().then(() => {
      if (handler === undefined) throw new Error(`there is no handler "${name}"`)
      return handler(argument)
    }).then(
      (value) => send({ id, value }),
      (error: unknown) => send({ id, error: error instanceof Error ? error.stack ?? error.message : String(error) })
    )
  })
  send({ id: 0 })
}
