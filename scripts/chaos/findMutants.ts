/** Runs the machine against builds that are broken on purpose: one that finds nothing would be worth nothing. */
import { once } from "node:events"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { buildMutant, type Mutant, mutants } from "../../test/chaos/mutants.ts"
import { MAIN } from "../../test/support/ampsyncProcess.ts"
import { start } from "../bench/children.ts"

const COMMAND = fileURLToPath(new URL("../chaos.ts", import.meta.url))
const jiti = join(dirname(createRequire(import.meta.url).resolve("jiti/package.json")), "lib/jiti-cli.mjs")

const VIOLATION_FOUND = 1
const MAX_EVIDENCE = 400

const find = async (mutant: Mutant, directory: string, args: ReadonlyArray<string>): Promise<boolean> => {
  const main = buildMutant(mutant, MAIN, join(directory, `mutant-${mutant.name}`))
  const child = start(process.execPath, [
    jiti,
    COMMAND,
    ...args,
    ...mutant.options ?? [],
    "--until-found",
    "--no-shrink"
  ], {
    env: { ...process.env, AMPSYNC_MAIN: main },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const [output, [code]] = await Promise.all([text(child.stdout!), once(child, "exit")])
  const lines = output.split("\n")
  const tried = lines.filter((line) => /^(ok|FAIL) /.test(line)).length
  const evidence = lines.find((line) => line.startsWith("VIOLATION "))?.slice(0, MAX_EVIDENCE)
  const isFound = code === VIOLATION_FOUND && evidence !== undefined
  console.log(`${mutant.name}: ${mutant.what}`)
  console.log(
    isFound ? `  found in schedule ${tried}: ${evidence}` : `  NOT FOUND in ${tried} schedules; exit code ${code}`
  )
  return isFound
}

/** The exit code: 0 when each mutant was found; only those of `names` are tried where there are some. */
export const findMutants = async (
  directory: string,
  args: ReadonlyArray<string>,
  names: ReadonlyArray<string>
): Promise<number> => {
  const chosen = names.length === 0 ? mutants : mutants.filter(({ name }) => names.includes(name))
  let missed = 0
  for (const mutant of chosen) if (!(await find(mutant, directory, args))) missed += 1
  return missed === 0 ? 0 : 1
}
