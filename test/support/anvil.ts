/** Anvil, the development node of Foundry, where it is installed: in the PATH, or where ANVIL names it. */
import { Effect, type Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { freePort } from "../../src/demo/freePort.ts"
import { eventually } from "./eventually.ts"

const program = process.env["ANVIL"] ?? "anvil"

export const hasAnvil = spawnSync(program, ["--version"]).status === 0

export interface Anvil {
  readonly url: URL
  /** Calls a method of its JSON-RPC; an error of it is a defect. */
  readonly call: (method: string, ...params: ReadonlyArray<unknown>) => Effect.Effect<unknown>
}

/** Starts a node without automatic mining on a free port; it is killed when the scope closes. */
export const startAnvil: Effect.Effect<Anvil, never, Scope.Scope> = Effect.gen(function*() {
  const port = yield* Effect.orDie(freePort)
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(program, ["--port", `${port}`, "--no-mining", "--order", "fifo", "--silent"], { stdio: "ignore" })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const url = new URL(`http://127.0.0.1:${port}`)
  const call = (method: string, ...params: ReadonlyArray<unknown>) =>
    Effect.promise(async () => {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
      const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body })
      const answer = await response.json() as {
        readonly result?: unknown
        readonly error?: { readonly message: string }
      }
      if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`)
      return answer.result
    })
  yield* eventually("anvil answers", Effect.map(Effect.exit(call("eth_chainId")), ({ _tag }) => _tag === "Success"))
  return { url, call }
})
