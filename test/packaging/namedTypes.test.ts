/** What `npm run api-docs` refuses, without the download that it takes. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { repository } from "./installed.ts"

const ENTRIES = ["index", "config", "services", "simulator"]
const DECLARATION = String.raw`(?:declare )?(?:abstract )?(?:interface|class|type|const|function)`

const { intentionallyNotExported } = JSON.parse(readFileSync(join(repository, "typedoc.json"), "utf8")) as {
  readonly intentionallyNotExported: ReadonlyArray<string>
}

/** Names that are left out of a type, and the parameters of a constructor that hosts do not call. */
const internal = new Set([...intentionallyNotExported, "ChainOptions", "IgnoredName", "IgnoredTelemetryName"])

interface Name {
  readonly file: string
  readonly name: string
}

const keyOf = ({ file, name }: Name): string => `${file} ${name}`

/** The text of a file of types, without comments and texts in quotes other than paths of imports. */
const textOf = (file: string): string => readFileSync(file, "utf8").replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, "")

/** What `import` or `export` statements with a path of our own name: the name there, by the one here. */
const namesIn = (file: string, statement: "import" | "export"): ReadonlyMap<string, Name> => {
  const found = new Map<string, Name>()
  const pattern = new RegExp(String.raw`^${statement} (?:type )?\{([^}]*)\} from "(\.[^"]+)\.js"`, "gm")
  for (const [, list, path] of textOf(file).matchAll(pattern)) {
    for (const entry of list!.split(",")) {
      const [name, here = name] = entry.trim().replace(/^type /, "").split(" as ")
      if (name) found.set(here!, { file: join(dirname(file), `${path}.d.ts`), name })
    }
  }
  return found
}

/** Where a name is declared, behind the files that only pass it on. */
const resolve = (name: Name): Name => {
  const next = namesIn(name.file, "export").get(name.name) ?? namesIn(name.file, "import").get(name.name)
  return next === undefined ? name : resolve(next)
}

/** The declarations of `name`, to the line that ends each. */
const declarationOf = ({ file, name }: Name): string =>
  [
    ...textOf(file).matchAll(
      new RegExp(String.raw`^(?:export )?${DECLARATION} ${name}\b[^]*?(?:^\}|;$(?=\n(?:\S|$)))`, "gm")
    )
  ]
    .map(([declaration]) => declaration.replaceAll(/"[^"]*"/g, ""))
    .join("\n")

/** Names of our own that the declaration of `from` uses; those that its file keeps to itself are looked into. */
const usedBy = (from: Name, seen = new Set<string>()): ReadonlyArray<Name> => {
  if (seen.has(keyOf(from))) return []
  seen.add(keyOf(from))
  const imported = namesIn(from.file, "import")
  const text = textOf(from.file)
  return [...new Set(declarationOf(from).match(/\b[A-Z]\w*/g))].flatMap((name) => {
    if (imported.has(name)) return [resolve(imported.get(name)!)]
    if (name === from.name || !new RegExp(`^(?:export )?${DECLARATION} ${name}\\b`, "m").test(text)) return []
    const isShared = new RegExp(`^export ${DECLARATION} ${name}\\b`, "m").test(text)
    const here = { file: from.file, name }
    return isShared ? [here] : usedBy(here, seen)
  })
}

describe("the types of the package", () => {
  it("are all exported where one that is exported uses them, so that a host can name them", () => {
    const exported = ENTRIES.flatMap((entry) => {
      const names = namesIn(join(repository, "dist/lib", `${entry}.d.ts`), "export")
      return [...names.values()].map(resolve)
    })
    assert.isAbove(exported.length, 100)
    const known = new Set(exported.map(keyOf))
    for (const name of exported) assert.isNotEmpty(declarationOf(name), `${keyOf(name)} is declared`)
    const unknown = exported.flatMap((name) =>
      usedBy(name)
        .filter((used) => !known.has(keyOf(used)) && !internal.has(used.name))
        .map((used) => `${used.name}, which ${name.name} uses`)
    )
    assert.deepStrictEqual([...new Set(unknown)], [])
  })
})
