/** The settings of a verb, for its `--help`. */
import type { Verb } from "./Setting.ts"
import { type SettingName, settingNames, settingOf } from "./settings.ts"

/** One line per setting, one that names those of libpq where they count, and one for those that only a sync makes use of. */
export const settingsHelp = (verb: Verb): string => {
  const names = settingNames.filter((name) => settingOf(name).verbs.includes(verb))
  const own = names.filter((name) => settingOf(name).section !== "libpq")
  const libpq = names.filter((name) => settingOf(name).section === "libpq")
  const checked = own.filter((name) => ["health", "telemetry"].includes(settingOf(name).section))
  const onlyChecked = verb === "sync" || verb === "health" || checked.length === 0
    ? []
    : [`  Only a sync makes use of ${families(checked)}; here they are checked.`]
  const width = Math.max(...own.map((name) => name.length))
  return [
    "SETTINGS (environment variables)",
    ...own.map((name) => `  ${name.padEnd(width)}    ${explained(name)}`),
    ...(libpq.length === 0 ? [] : [`  What these leave out is taken from libpq's variables: ${libpq.join(", ")}`]),
    ...onlyChecked
  ].join("\n")
}

/** Names in short, by what they begin with, such as `OTEL_*`. */
const families = (names: ReadonlyArray<string>): string =>
  [...new Set(names.map((name) => `${name.split("_")[0]}_*`))].join(" and ")

const explained = (name: SettingName): string => {
  const { default: fallback, description, fromFile, whenUnset } = settingOf(name)
  const file = fromFile === true ? ` ${name}_FILE names a file that contains it.` : ""
  const unset = whenUnset === "none" ? "" : ` (${fallback === undefined ? whenUnset : `default: ${fallback}`})`
  return `${description}${file}${unset}`
}
