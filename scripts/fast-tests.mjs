/**
 * Finds the test files that need no server and no process.
 *
 * They import nothing, directly or through other files, that could start one. So no list has to be maintained, and a test
 * that imports a package not named here counts as slow, and does not fail as a fast one.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, isAbsolute, join, resolve, sep } from "node:path"
import { scanModule } from "./scan-module.mjs"

/** Modules that neither listen nor connect nor start a process or a thread as the tests use them. */
const HARMLESS = new Set([
  "vitest",
  "@effect/vitest",
  "effect",
  "apache-arrow",
  "fzstd",
  ...["crypto", "fs", "fs/promises", "os", "path", "url", "util"].map((name) => `node:${name}`),
  // Certificates are read by it.
  "node:tls"
])

const isHarmless = (specifier) =>
  HARMLESS.has(specifier) || specifier.startsWith("effect/") || specifier.startsWith("apache-arrow/")

const importsOf = (file) =>
  scanModule(readFileSync(file, "utf8")).imports.filter(({ isType }) => !isType).map(({ specifier }) => specifier)

/**
 * A function that answers whether one of the modules that a test file imports, directly or through others, is `wanted`:
 * files have their absolute path, packages their name.
 *
 * Each file is read once, however many tests import it.
 */
const makeReaches = () => {
  const read = new Map()
  const imports = (file) => {
    if (!read.has(file)) read.set(file, importsOf(file))
    return read.get(file)
  }
  return (test, wanted) => {
    const reached = new Set([test])
    for (const file of reached) {
      if (wanted(file)) return true
      if (!/\.m?[jt]s$/.test(file) || !existsSync(file)) continue
      for (const specifier of imports(file)) {
        if (specifier.startsWith(".")) reached.add(resolve(dirname(file), specifier))
        else if (wanted(specifier)) return true
      }
    }
    return false
  }
}

const testsOf = (root) =>
  readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => `test/${file.split(sep).join("/")}`)
    .sort()

/**
 * The test files below `root`/test, as paths from `root` with forward slashes.
 *
 * @param {string} root
 * @returns {{ fast: string[], slow: string[] }}
 */
export const sortTests = (root) => {
  const reaches = makeReaches()
  const couldBegin = (module) => !isAbsolute(module) && !isHarmless(module)
  const tests = testsOf(root).map((path) => ({ path, isSlow: reaches(join(root, path), couldBegin) }))
  return {
    fast: tests.filter(({ isSlow }) => !isSlow).map(({ path }) => path),
    slow: tests.filter(({ isSlow }) => isSlow).map(({ path }) => path)
  }
}

/**
 * The test files below `root`/test that reach one of `modules`, which are paths from `root`.
 *
 * @param {string} root
 * @param {ReadonlyArray<string>} modules
 * @returns {string[]}
 */
export const testsThatReach = (root, modules) => {
  const wanted = new Set(modules.map((module) => join(root, module)))
  const reaches = makeReaches()
  return testsOf(root).filter((path) => reaches(join(root, path), (module) => wanted.has(module)))
}
