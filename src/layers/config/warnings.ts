/** The warnings for settings without effect. */
import { logTargets } from "../../domain/logTargets.ts"
import type { LogFilter } from "../../domain/settings/logFilter.ts"
import { quoted } from "../../domain/settings/values.ts"
import { ignoredNames } from "./libpq.ts"
import { ignoredTelemetryNames, insteadOfTelemetry } from "./otel.ts"
import { isTelemetryAsked } from "./telemetry.ts"
import type { Texts, Typo } from "./variables.ts"

/** One sentence per ignored variable or part of `RUST_LOG`. */
export const configWarnings = (texts: Texts, typos: ReadonlyArray<Typo>, log: LogFilter): ReadonlyArray<string> => [
  ...typos.map(({ didYouMean, name }) => `The environment variable ${name} is ignored; did you mean ${didYouMean}?`),
  ...ignoredNames.filter((name) => texts[name] !== undefined).map((name) =>
    `The environment variable ${name} is ignored; set DATABASE_URL or the DATABASE_* variables instead`
  ),
  ...(isTelemetryAsked(texts) ? ignoredTelemetryNames : []).filter((name) => texts[name] !== undefined).map((name) =>
    `The environment variable ${name} is ignored; set ${insteadOfTelemetry[name]}`
  ),
  ...(texts.CDC_PUBLICATION !== undefined && (texts.CDC_READY ?? "off").toLowerCase() === "off"
    ? ["CDC_PUBLICATION is ignored while CDC_READY is off"]
    : []),
  ...plaintextAddresses(texts).map(([name, { origin }]) =>
    `The token of AMP_AUTH_TOKEN is sent without TLS to ${origin}, which ${name} names: anyone on the way there can read it; ` +
    "use https, or a network that only you can read"
  ),
  ...(log.ignored ?? []).map((part) =>
    `RUST_LOG: ${quoted(part)} is ignored: no target has this name. ${adviceOn(part)}`
  )
]

/** Addresses on other machines that a token is sent to in plain text. Only their origin is for messages: a verb may not have checked them. */
const plaintextAddresses = (texts: Texts) =>
  texts.AMP_AUTH_TOKEN === undefined && texts.AMP_AUTH_TOKEN_FILE === undefined
    ? []
    : (["AMP_FLIGHT_ADDR", "AMP_ADMIN_API_ADDR"] as const).flatMap((name) => {
      const address = texts[name]
      const url = address !== undefined && URL.canParse(address) ? new URL(address) : undefined
      return url !== undefined && isForeignPlaintext(url) ? [[name, url] as const] : []
    })

const isForeignPlaintext = ({ hostname, protocol }: URL): boolean =>
  protocol === "http:" && !/^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname)

const adviceOn = (part: string): string =>
  /[;\s]/.test(part)
    ? "Separate parts with commas: info,ampsync=debug"
    : `The targets are ${logTargets.join(", ")}`
