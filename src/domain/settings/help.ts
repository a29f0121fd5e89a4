/** The settings of a verb, for its `--help`. */
import type { Verb } from "./Setting.ts"
import { type SettingName, settingNames, settingOf } from "./settings.ts"

/** One line per setting, and one that names those of libpq where they count. */
export const settingsHelp = (verb: Verb): string => {
  const names = settingNames.filter((name) => settingOf(name).verbs.includes(verb))
  const own = names.filter((name) => settingOf(name).section !== "libpq")
  const libpq = names.filter((name) => settingOf(name).section === "libpq")
  const width = Math.max(...own.map((name) => name.length))
  return [
    "SETTINGS (environment variables)",
    ...own.map((name) => `  ${name.padEnd(width)}    ${explained(name)}`),
    ...(libpq.length === 0 ? [] : [`  What these leave out is taken from libpq's variables: ${libpq.join(", ")}`])
  ].map((line) => `\n${line}`).join("")
}

const explained = (name: SettingName): string => {
  const { default: fallback, description, fromFile, whenUnset } = settingOf(name)
  const file = fromFile === true ? ` ${name}_FILE names a file that contains it.` : ""
  const unset = whenUnset === "none" ? "" : ` (${fallback === undefined ? whenUnset : `default: ${fallback}`})`
  return `${description}${file}${unset}`
}
