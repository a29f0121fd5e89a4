/** What the health API of a process answers, over real HTTP. */
import { Effect } from "effect"
import type { AmpsyncProcess } from "./ampsyncProcess.ts"
import { eventually } from "./eventually.ts"

export interface HealthAnswer {
  readonly status: number
  // Each test knows the shape that it asked for.
  readonly body: any
  readonly text: string
}

export const ask = (address: string, path: string): Effect.Effect<HealthAnswer> =>
  Effect.promise(async () => {
    const response = await fetch(`http://${address}${path}`, { headers: { connection: "close" } })
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.includes("json") === true
    return { status: response.status, body: isJson ? JSON.parse(text) : undefined, text }
  })

/** The reasons of /readyz as `table: code`; empty where it answers with 200. */
export const reasons = (address: string, query = ""): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(ask(address, `/readyz${query}`), ({ body, status }) =>
    status === 200
      ? []
      : body.reasons.map((reason: { table: string | null; code: string }) => `${reason.table}: ${reason.code}`))

/** The address that a log names as that of its health API. */
export const healthAddress = (log: string): string | undefined => /Health endpoints: http:\/\/([^\s"]+)/.exec(log)?.[1]

/** Waits until a process serves its health API; gives the address. */
export const addressOf = (process: AmpsyncProcess): Effect.Effect<string> =>
  Effect.map(process.prints(/Health endpoints: [^\n]+\n/), () => healthAddress(process.output())!)

/** Waits until /readyz has exactly these reasons. */
export const becomes = Effect.fnUntraced(function*(
  address: string,
  expected: ReadonlyArray<string>,
  query = ""
) {
  let last: ReadonlyArray<string> = []
  yield* eventually(
    () => `/readyz${query} answers ${JSON.stringify(expected)}; it answered ${JSON.stringify(last)}`,
    Effect.map(reasons(address, query), (found) => {
      last = found
      return JSON.stringify(found) === JSON.stringify(expected)
    })
  )
})
