/**
 * Finds the test files that need no server and no process.
 *
 * They import nothing, directly or through other files, that could start one. So no list has to be maintained, and a test
 * that imports a package not named here counts as slow, and does not fail as a fast one.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, resolve, sep } from "node:path"
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
 * A function that answers whether a test file needs neither a server nor a process.
 *
 * Each file is read once, however many tests import it.
 */
const makeIsFast = () => {
  const read = new Map()
  const imports = (file) => {
    if (!read.has(file)) read.set(file, importsOf(file))
    return read.get(file)
  }
  return (test) => {
    const reached = new Set([test])
    for (const file of reached) {
      if (!/\.m?[jt]s$/.test(file) || !existsSync(file)) continue
      for (const specifier of imports(file)) {
        if (specifier.startsWith(".")) reached.add(resolve(dirname(file), specifier))
        else if (!isHarmless(specifier)) return false
      }
    }
    return true
  }
}

/**
 * The test files below `root`/test, as paths from `root` with forward slashes.
 *
 * @param {string} root
 * @returns {{ fast: string[], slow: string[] }}
 */
export const sortTests = (root) => {
  const isFast = makeIsFast()
  const tests = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => `test/${file.split(sep).join("/")}`)
    .sort()
  return {
    fast: tests.filter((test) => isFast(join(root, test))),
    slow: tests.filter((test) => !isFast(join(root, test)))
  }
}
