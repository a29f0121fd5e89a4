/** Anvil, the development node of Foundry: from npm, or from the PATH on platforms that the package is not for. */
import { Effect, type Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { freePort } from "../../src/demo/freePort.ts"
import { eventually } from "./eventually.ts"

const PACKAGE = "@foundry-rs/anvil-linux-amd64"

const findProgram = (): string => {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`)), "bin/anvil")
  } catch {
    return "anvil"
  }
}

const program = findProgram()

/** Why no node can be started here; undefined where one can. */
export const anvilUnavailable: string | undefined = spawnSync(program, ["--version"]).status === 0
  ? undefined
  : `the optional package ${PACKAGE} is not installed on this platform, and no anvil is in the PATH`

export interface Anvil {
  readonly url: URL
  /** Calls a method of its JSON-RPC; an error of it is a defect. */
  readonly call: (method: string, ...params: ReadonlyArray<unknown>) => Effect.Effect<unknown>
  /** The hash of block `number` of its chain. */
  readonly hashAt: (number: bigint) => Effect.Effect<string>
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
  const hashAt = (number: bigint) =>
    Effect.map(
      call("eth_getBlockByNumber", `0x${number.toString(16)}`, false),
      (block) => (block as { readonly hash: string }).hash
    )
  yield* eventually("anvil answers", Effect.map(Effect.exit(call("eth_chainId")), ({ _tag }) => _tag === "Success"))
  return { url, call, hashAt }
})
