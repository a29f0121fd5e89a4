/** What the health API of a process answers, over real HTTP. */
import { Effect } from "effect"

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
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text), text }
  })

/** The reasons of /readyz as `table: code`; empty where it answers with 200. */
export const reasons = (address: string, query = ""): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(ask(address, `/readyz${query}`), ({ body, status }) =>
    status === 200
      ? []
      : body.reasons.map((reason: { table: string | null; code: string }) => `${reason.table}: ${reason.code}`))

/** The address that a log names as that of its health API. */
export const healthAddress = (log: string): string | undefined => /Health endpoints: http:\/\/([^\s"]+)/.exec(log)?.[1]
