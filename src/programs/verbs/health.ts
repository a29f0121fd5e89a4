/** The verb `health`: asks the health endpoints of a process on this machine, as a container or a script does. */
import { Console, Duration, Effect, Schema } from "effect"
import { HttpClient } from "effect/http"
import { rootMessage } from "../../domain/rootMessage.ts"
import type { HealthSettings } from "../../services/Config.ts"
import { Alive, NotReady, Ready } from "../../services/HealthApi.ts"

export interface HealthOptions {
  /** Asks `/readyz` instead of `/livez`. */
  readonly ready: boolean
  /** How long the whole answer may take. */
  readonly timeout: Duration.Duration
}

/** The process did not answer, or is not ready. */
export class Unhealthy extends Schema.TaggedError<Unhealthy>()("Unhealthy", {
  address: Schema.String,
  /** Completes a sentence that begins with the address. */
  reason: Schema.String
}) {
  override get message() {
    return `The process at ${this.address} ${this.reason}`
  }
}

const Answer = Schema.fromJsonString(Schema.Union([Alive, Ready, NotReady]))

/** What a connection is made to where a process listens on every address. */
const LOOPBACK: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" }

const addressOf = ({ host, port }: HealthSettings): string => {
  const reached = LOOPBACK[host] ?? host
  return `${reached.includes(":") ? `[${reached}]` : reached}:${port}`
}

const CHECK = "check that it runs, and HEALTH_PORT and HEALTH_HOST"

/** Prints one line where the process is alive, or ready; fails with the reasons where it is not. */
export const health = Effect.fn("health")(function*(settings: HealthSettings, { ready, timeout }: HealthOptions) {
  const address = addressOf(settings)
  const unhealthy = (reason: string) => new Unhealthy({ address, reason })
  const url = `http://${address}${ready ? "/readyz" : "/livez"}`
  const answer = yield* HttpClient.get(url).pipe(
    Effect.flatMap((response) => response.text),
    Effect.mapError((error) => unhealthy(`does not answer: ${rootMessage(error)}; ${CHECK}`)),
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => unhealthy(`does not answer within ${Duration.format(timeout)}; if it is only slow, raise --timeout`)
    }),
    Effect.flatMap(Schema.decodeUnknownEffect(Answer)),
    Effect.catchTag("SchemaError", () => unhealthy(`is another program: ${url} has no answer of Ampsync; ${CHECK}`))
  )
  if ("reasons" in answer) {
    return yield* unhealthy(`is not ready:\n${answer.reasons.map(({ message }) => `  - ${message}`).join("\n")}`)
  }
  yield* Console.log(`The process at ${address} is ${ready ? "ready" : "alive"}`)
})
