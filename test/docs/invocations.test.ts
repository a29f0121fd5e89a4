/** Every command of the program that a page names, in whatever block or sentence, has a verb, options and settings that there are. */
import { assert, describe, it } from "@effect/vitest"
import { settingNames, variablesOf } from "../../src/domain/settings/settings.ts"
import { pageOf, pages, tableRows } from "./pages.ts"

const bare = (cell: string) => cell.replaceAll("`", "")

// test/docs/verbs.test.ts holds that these two tables are what --help has.
const commands = pageOf("docs/commands.md")
const verbs = new Set(tableRows(commands, "verbs").map(([command]) => bare(command!).split(" ")[2] ?? ""))
const options = new Set(tableRows(commands, "options").map(([verb, option]) => `${bare(verb!)} ${bare(option!)}`))
const EVERYWHERE = ["--help", "--version", "--completions"]

const variables = new Set([
  ...settingNames.flatMap(variablesOf),
  // Of an example, and of Node.
  "PORT",
  "NODE_OPTIONS"
])

const INVOCATION =
  /(?<variables>(?:\b[A-Z][A-Z0-9_]*=\S+ +)*)(?:node (?:\S*\/)?dist\/main\.js|npx ampsync)(?<rest>(?: +[^\s`|;&>#()]+)*)/g

/** What is wrong with the commands in `text`, of which a line may go on after a backslash. */
export const problemsIn = (text: string): ReadonlyArray<string> =>
  [...text.replaceAll(/\\\n\s*/g, " ").matchAll(INVOCATION)].flatMap(({ 0: whole, groups }) => {
    const words = groups!["rest"]!.split(" ").filter((word) => word !== "")
    const verb = words[0] !== undefined && !words[0].startsWith("-") ? words.shift()! : ""
    const problems = verbs.has(verb) ? [] : [`there is no verb ${verb}`]
    for (const [index, word] of words.entries()) {
      const [option] = word.split("=")
      if (!word.startsWith("-")) {
        // The value of the option before it.
        if (index > 0 && words[index - 1]!.startsWith("--")) continue
        problems.push(`${word} is neither an option nor the value of one`)
      } else if (!options.has(`${verb} ${option}`) && !EVERYWHERE.includes(option!)) {
        problems.push(`${verb === "" ? "a sync" : verb} has no option ${option}`)
      }
    }
    for (const [, name] of groups!["variables"]!.matchAll(/([A-Z][A-Z0-9_]*)=/g)) {
      if (!variables.has(name!)) problems.push(`there is no setting ${name}`)
    }
    return problems.map((problem) => `${whole}: ${problem}`)
  })

describe("a command of the program in a page", () => {
  it("has a verb, options and settings that there are", () => {
    let found = 0
    for (const { path, text } of pages) {
      found += [...text.matchAll(INVOCATION)].length
      assert.deepStrictEqual(problemsIn(text), [], path)
    }
    assert.isAbove(found, 40)
  })

  it("is not waved through", () => {
    const wrong = (command: string, problem: string) => {
      const [found, ...others] = problemsIn(`first\n${command}   # why\nlast`)
      assert.include(found ?? "", problem)
      assert.deepStrictEqual(others, [])
    }
    wrong("node dist/main.js publsh --help", "there is no verb publsh")
    wrong("DATABASE_SCHEMA=v2 node dist/main.js publish --to live", "publish has no option --to")
    wrong("npx ampsync --table logs", "a sync has no option --table")
    wrong("node dist/main.js verify \\\n  --tabel logs", "verify has no option --tabel")
    wrong("DATABASE_SHEMA=v2 node dist/main.js", "there is no setting DATABASE_SHEMA")
    wrong("node dist/main.js resync logs", "logs is neither an option nor the value of one")
  })
})
