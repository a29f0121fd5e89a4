/** The text of docs/configuration.md, made from the definitions that decode the settings. */
import type { SettingSection, Verb } from "../src/domain/settings/Setting.ts"
import { settingNames, settingOf, variablesOf } from "../src/domain/settings/settings.ts"
import { ignoredNames } from "../src/layers/config/libpq.ts"
import { ignoredTelemetryNames } from "../src/layers/config/otel.ts"

const cell = (text: string): string => text.replaceAll("|", "\\|")
const row = (cells: ReadonlyArray<string>): string => `| ${cells.map(cell).join(" | ")} |`
const code = (text: string): string => `\`${text}\``

const settingRow = (name: (typeof settingNames)[number]): string => {
  const { accepts, default: fallback, description, whenUnset } = settingOf(name)
  return row([
    variablesOf(name).map(code).join(", "),
    fallback === undefined ? whenUnset ?? "none" : code(fallback),
    accepts,
    description
  ])
}

const table = (section: SettingSection): string =>
  [
    row(["variable", "default", "value", "meaning"]),
    row(["---", "---", "---", "---"]),
    ...settingNames.filter((name) => settingOf(name).section === section).map(settingRow)
  ].join("\n")

const list = (names: ReadonlyArray<string>): string => {
  const lines: Array<string> = []
  for (const word of names.map(code)) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length > 120) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.join("\n")
}

const sectionTitles: Readonly<Record<SettingSection, string>> = {
  dataset: "What to sync",
  database: "Database",
  server: "Server",
  limits: "Limits and the chain",
  writing: "Writing",
  health: "Health endpoints",
  telemetry: "OpenTelemetry",
  logging: "Logging",
  libpq: "Variables of libpq"
}

/** What the definitions have of the settings of a verb: titles of the chapters that all or some come from. */
const readBy = (verb: Verb): string =>
  [
    ...new Set(
      settingNames.filter((name) => settingOf(name).verbs.includes(verb)).map((name) => settingOf(name).section)
    )
  ]
    .map((section) => `"${sectionTitles[section]}"`).join(", ")

const namesReadBy = (verb: Verb): string =>
  settingNames.filter((name) => settingOf(name).verbs.includes(verb)).map(code).join(", ")

export const configurationDoc = `# Configuration

Settings are environment variables. An empty variable is one that is not set, and blanks around a value are dropped, but for
those of a password. Every wrong setting is named at once, before anything starts, and the exit code is 2. A variable of the
environment that is one of these with one or two letters too many, too few or swapped is reported. Which tables to fill is in the [config file](config-file.md).

| verb | settings that it reads; one that is wrong ends it |
| --- | --- |
| none: a sync | all |
| \`plan\` | all; those of "${sectionTitles.health}" and "${sectionTitles.telemetry}" are checked and have no effect |
| \`verify\`, \`doctor\`, \`grants\` | as \`plan\`, but none of "${sectionTitles.telemetry}" |
| \`status\`, \`resync\`, \`rewind\` | those of ${readBy("resync")} |
| \`init\` | ${namesReadBy("init")} |
| \`health\` | ${namesReadBy("health")} |
| \`simulate\`, \`demo\` | ${namesReadBy("demo")} |

## ${sectionTitles.dataset}

${table("dataset")}

Exactly one of the two: \`DATASET_MANIFEST\`, or \`DATASET\` together with \`TABLES\`.

## ${sectionTitles.database}

${table("database")}

### Connections

A URL has libpq's form: a host may be a directory of a Unix socket, percent-encoded, and what it leaves out comes from
\`DATABASE_PASSWORD\`, \`DATABASE_SSLMODE\` and \`DATABASE_SSLROOTCERT\`, and then from the
[variables of libpq](#variables-of-libpq). One host only. The parameters behind \`?\` are those of libpq that are named there,
and \`keepalives\` and \`keepalives_idle\`.

### TLS

\`sslmode\` has libpq's meanings from \`disable\` to \`verify-full\`, with \`sslrootcert\`, \`sslcert\` and \`sslkey\`:
\`require\` with a root certificate means \`verify-ca\`. \`sslrootcert=system\` means \`verify-full\`, and trusts Node's
authorities and those of \`NODE_EXTRA_CA_CERTS\`, or the file of \`SSL_CERT_FILE\`. \`channel_binding=require\` and
\`target_session_attrs\` are honoured. Over a Unix socket there is no TLS.

### Secrets in files

A variable that ends in \`_FILE\` names a file with the secret, without the newline at its end; it and the variable without
\`_FILE\` exclude each other. The file is read again for every connection: user, password and token may be rotated while it
runs; another host or database needs a restart. A login that is refused is tried again where the secret is in a file, because
the file may change.

## ${sectionTitles.server}

${table("server")}

### Proxies

An HTTP proxy named by \`grpc_proxy\`, or for \`https\` addresses by \`https_proxy\` or \`http_proxy\`, carries the Flight
connections, but for those to the loopback and to what \`no_proxy\` excludes; the Admin API and PostgreSQL are connected to
directly.

## ${sectionTitles.limits}

${table("limits")}

[ARCHITECTURE](../ARCHITECTURE.md#memory) has the formula of the memory that is used.

## ${sectionTitles.writing}

${table("writing")}

## ${sectionTitles.health}

${table("health")}

Only the program has them, and only for a sync: inside of an app they have no effect. [Monitoring](monitoring.md#http-endpoints) has what they
answer.

## ${sectionTitles.telemetry}

${table("telemetry")}

Standard variables of OpenTelemetry, for the program alone. Where they ask for exports, a warning names those of the standard that
are set and have no effect:

${list(ignoredTelemetryNames)}

[Tracing](tracing.md) has what is exported.

## ${sectionTitles.logging}

${table("logging")}

[Logging](logging.md) has the directives of \`RUST_LOG\`, an example of each format, and the lines that are worth watching.

## ${sectionTitles.libpq}

They stand in for what ours leave out. \`PGPASSFILE\`, or \`~/.pgpass\`, is read as libpq does.

${table("libpq")}

A warning names those that are set and have no effect:

${list(ignoredNames)}

This page is made from the code by \`npm run docs\`; a test fails when it is not current.
`
