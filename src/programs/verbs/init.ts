/** The verb `init`: writes a first config file from a dataset of the server. */
import { Console, Effect, FileSystem, Option, Result, Schema, Stdio } from "effect"
import { Prompt } from "effect/cli"
import { didYouMean } from "../../domain/didYouMean.ts"
import { type DatasetReference, formatDatasetReference, parseDatasetReference } from "../../domain/manifest/Dataset.ts"
import { type Abi, eventTables } from "../../domain/manifest/eventTables.ts"
import { configText, firstManifest, nextSteps } from "../../domain/manifest/firstConfig.ts"
import { decodeManifest } from "../../domain/manifest/Manifest.ts"
import { counted } from "../../domain/numbers.ts"
import { AdminApi, type DatasetInfo, isUnpublished } from "../../services/AdminApi.ts"

export interface InitOptions {
  /** `[namespace/]name[@revision]`; asked for where it is absent and there is a terminal. */
  readonly dataset: string | undefined
  /** Names separated by commas; all tables where absent. */
  readonly tables: string | undefined
  /** Path of a JSON ABI, whose events become tables. */
  readonly abi: string | undefined
  /** Path of the file to write. */
  readonly out: string
  /** Replace a file that exists. */
  readonly force: boolean
}

/** No file was written; `reason` has the cause and what to do. */
export class InitFailed extends Schema.TaggedError<InitFailed>()("InitFailed", {
  reason: Schema.String,
  exitCode: Schema.Literals([1, 2])
}) {
  override get message() {
    return this.reason
  }
}

const fail = (exitCode: 1 | 2, reason: string) => new InitFailed({ exitCode, reason })

/** Writes the file, and prints what to do next. */
export const init = Effect.fn("init")(function*({ abi, dataset, force, out, tables }: InitOptions) {
  if (!/\.(ts|json)$/.test(out)) return yield* fail(2, `--out must end with .ts or .json, not "${out}"`)
  const files = yield* FileSystem.FileSystem
  if (!force && (yield* Effect.orElseSucceed(files.exists(out), () => false))) {
    return yield* fail(2, `${out} exists; name another file with --out, or replace it with --force`)
  }
  const info = yield* found(dataset === undefined ? yield* chosen : yield* parsed(dataset))
  const names = info.tables.map(({ name }) => name)
  const wanted = tables === undefined ? names : yield* listed(tables, names, info)
  const queries = abi === undefined ? {} : yield* eventQueries(abi, info, names)
  const config = {
    dialect: info.dialect,
    dataset: { namespace: info.namespace, name: info.name, revision: info.version },
    network: info.tables.find(({ network }) => network !== undefined)?.network,
    tables: wanted.filter((name) => !Object.hasOwn(queries, name)),
    queries
  }
  const valid = decodeManifest(firstManifest(config))
  if (Result.isFailure(valid)) {
    return yield* fail(1, `no valid config can be made of this dataset: ${valid.failure.problems.join("; ")}`)
  }
  yield* Effect.mapError(
    files.writeFileString(out, configText(config, out), { flag: force ? "w" : "wx" }),
    ({ message }) => fail(1, `${out} cannot be written: ${message}`)
  )
  yield* Console.log(
    [
      `Wrote ${out}: ${counted(valid.success.tables.length, "table")} of ${formatDatasetReference(config.dataset)}.`,
      ...nextSteps(out).map((step, index) => `  ${index + 1}. ${step}`)
    ].join("\n")
  )
})

const parsed = (text: string) =>
  Effect.mapError(
    Effect.fromResult(parseDatasetReference(text)),
    ({ expected }) => fail(2, `--dataset must be ${expected}`)
  )

/** The dataset that a person picks at a terminal; without one the datasets are listed in the failure. */
const chosen = Effect.gen(function*() {
  const [admin, stdio] = [yield* AdminApi, yield* Stdio.Stdio]
  const all = yield* admin.datasets
  if (all.length === 0) return yield* fail(1, "the server has no dataset; register one first")
  const names = all.map(formatDatasetReference)
  if (!(yield* stdio.stdinIsTerminal)) {
    return yield* fail(2, `name a dataset with --dataset; the server has ${names.join(", ")}`)
  }
  return yield* Prompt.run(Prompt.Select({
    message: "Which dataset?",
    choices: all.map((value, index) => ({ title: names[index]!, value }))
  })).pipe(Effect.catchTag("QuitError", () => fail(1, "nothing was written")))
})

const found = Effect.fnUntraced(function*(reference: DatasetReference) {
  const admin = yield* AdminApi
  return yield* Effect.catchIf(admin.dataset(reference), isUnpublished, ({ detail }) =>
    Effect.gen(function*() {
      const all = yield* Effect.orElseSucceed(admin.datasets, () => [])
      const list = all.length === 0 ? "" : `; the server has ${all.map(formatDatasetReference).join(", ")}`
      return yield* fail(2, `${detail}${list}`)
    }))
})

const listed = Effect.fnUntraced(function*(text: string, names: ReadonlyArray<string>, info: DatasetInfo) {
  const wanted = [...new Set(text.split(",").map((name) => name.trim()).filter((name) => name !== ""))]
  if (wanted.length === 0) return yield* fail(2, "--tables must name at least one table")
  const unknown = wanted.filter((name) => !names.includes(name))
  if (unknown.length === 0) return wanted
  const hints = unknown.map((name) => {
    const near = didYouMean(name, names)
    return near === undefined ? `"${name}"` : `"${name}" (did you mean "${near}"?)`
  })
  return yield* fail(
    2,
    `dataset ${info.namespace}/${info.name} has no table ${hints.join(", ")}; it has ${names.join(", ")}`
  )
})

const Items = Schema.Array(Schema.Struct({ type: Schema.String }))
/** The list alone, or as compilers write it: a document that has it under `abi`. */
const AbiFile = Schema.fromJsonString(Schema.Union([Items, Schema.Struct({ abi: Items })]))

const eventQueries = Effect.fnUntraced(function*(path: string, info: DatasetInfo, names: ReadonlyArray<string>) {
  const files = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(
    files.readFileString(path),
    ({ message }) => fail(2, `the ABI ${path} cannot be read: ${message}`)
  )
  if (Option.isNone(Schema.decodeUnknownOption(AbiFile)(text))) {
    return yield* fail(2, `${path} is no JSON ABI: a list of items with a type, or a document that has one under "abi"`)
  }
  if (!names.includes("logs")) {
    return yield* fail(2, `dataset ${info.namespace}/${info.name} has no table "logs", from which events are decoded`)
  }
  const document = JSON.parse(text) as Abi | { readonly abi: Abi }
  const notes: Array<string> = []
  const events = "abi" in document ? document.abi : document as Abi
  const tables = yield* Effect.try({
    try: () => eventTables(events, info.name, (note) => notes.push(note)),
    catch: () => fail(2, `${path} has an event without a name, or an input without a type`)
  })
  for (const note of notes) yield* Effect.logWarning(note)
  if (Object.keys(tables).length === 0) return yield* fail(2, `${path} has no event`)
  return Object.fromEntries(Object.entries(tables).map(([name, { sql }]) => [name, withPlainAliases(sql)]))
})

/** Servers refuse names of columns that begin with `_`, as many inputs of events do. */
const withPlainAliases = (sql: string): string =>
  sql.replaceAll(
    / AS _+([a-z]\w*)/g,
    (alias, plain: string) =>
      new RegExp(`(?: AS |[ ,])${plain}\\b(?!\\w)`).test(sql.replaceAll(/'[^']*'/g, "")) ? alias : ` AS ${plain}`
  )
