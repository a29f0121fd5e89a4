/**
 * Stands in for `jiti/static` in the program that `scripts/build.mjs` makes.
 *
 * Most of what a start with a TypeScript config takes is V8 reading 2.4 MB of compiler. The build keeps them as one script beside
 * the program, with the code V8 made of it. That code belongs to one version of Node on one kind of machine: another finds none under
 * its name and compiles as ever.
 */
import type { createJiti as CreateJiti } from "jiti"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { Script } from "node:vm"

const filename = fileURLToPath(new URL("compiler.cjs", import.meta.url))

const codeMadeHere = (): Buffer | undefined => {
  try {
    return readFileSync(`${filename}.${process.version}-${process.platform}-${process.arch}`)
  } catch {
    return undefined
  }
}

const cachedData = codeMadeHere()
const script = new Script(readFileSync(filename, "utf8"), {
  filename,
  ...(cachedData !== undefined && { cachedData })
})

const compiler = script.runInThisContext() as (
  require: NodeJS.Require,
  importNatively: (id: string) => Promise<unknown>
) => { readonly createJiti: typeof CreateJiti }

// A script that V8 kept cannot import by itself: it has forgotten for whom.
export const { createJiti } = compiler(createRequire(filename), (id) => import(id))
