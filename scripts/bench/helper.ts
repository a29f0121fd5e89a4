/** Calls functions of another process of the benchmark over Node's own channel. */
import { once } from "node:events"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { hasEnded, start, stop } from "./children.ts"

/** What a helper process can be asked for. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>

export interface Request {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

export interface Reply {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

type Call<H extends Handlers> = <K extends keyof H & string>(
  name: K,
  ...argument: Parameters<H[K]>
) => Promise<Awaited<ReturnType<H[K]>>>

export interface Helper<H extends Handlers> {
  readonly pid: number
  /** Fails with the helper's error, and when the helper is gone. */
  readonly call: Call<H>
  readonly failUnlessAlive: () => void
  readonly stop: () => Promise<void>
}

interface Pending {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

const jiti = join(dirname(createRequire(import.meta.url).resolve("jiti/package.json")), "lib/jiti-cli.mjs")

/** Starts `file`, a path relative to this one, which calls `serve` of serve.ts. */
export const startHelper = async <H extends Handlers>(file: string): Promise<Helper<H>> => {
  const child = start(process.execPath, [jiti, fileURLToPath(new URL(file, import.meta.url))], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "advanced"
  })
  const pending = new Map<number, Pending>()
  const fail = (reason: string) => {
    for (const { reject } of pending.values()) reject(new Error(`${file}: ${reason}`))
    pending.clear()
  }
  child.on("message", (reply: Reply) => {
    const request = pending.get(reply.id)
    pending.delete(reply.id)
    if (reply.error === undefined) request?.resolve(reply.value as never)
    else request?.reject(new Error(`${file}: ${reply.error}`))
  })
  child.on("error", (error) => fail(error.message))
  child.on("exit", (code, signal) => fail(`the process ended with ${signal ?? `exit code ${code}`}`))
  const failUnlessAlive = (): void => {
    if (hasEnded(child)) throw new Error(`${file}: the process is gone`)
  }
  let ids = 0
  const call: Call<H> = (name, ...[argument]) =>
    new Promise((resolve, reject) => {
      failUnlessAlive()
      ids += 1
      pending.set(ids, { resolve, reject })
      child.send({ id: ids, name, argument } satisfies Request)
    })
  const early = once(child, "exit").then(() => Promise.reject(new Error(`${file}: ended before it was ready`)))
  early.catch(() => undefined)
  await Promise.race([once(child, "message"), early])
  return { pid: child.pid!, call, failUnlessAlive, stop: () => stop(child, 2_000) }
}
