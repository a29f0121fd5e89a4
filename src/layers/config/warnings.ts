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
  ...(log.ignored ?? []).map((part) =>
    `RUST_LOG: ${quoted(part)} is ignored: no target has this name. ${adviceOn(part)}`
  )
]

const adviceOn = (part: string): string =>
  /[;\s]/.test(part)
    ? "Separate parts with commas: info,ampsync=debug"
    : `The targets are ${logTargets.join(", ")}`
