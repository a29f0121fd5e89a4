/**
 * Checks that a consumer's compiler finds every type that the declarations of the library need.
 *
 * A package whose types we do not depend on at run time, such as `@types/pg`, is absent in the consumer's project: one
 * import of it in a public declaration breaks his build (TS7016).
 */
import { readFileSync } from "node:fs"
import { dirname, relative, resolve } from "node:path"
import { scanModule } from "./scan-module.mjs"

/** Packages without types of their own; their types are development dependencies of this package. */
const UNTYPED = ["pg", "pg-copy-streams"]

/**
 * Every import of an untyped package in `entry` and the declarations it reaches, as `file:line: sentence`.
 *
 * @param {string} entry the path of a `.d.ts` file
 * @returns {string[]}
 */
export const leakedTypes = (entry) => {
  const leaks = []
  const seen = new Set([entry])
  for (const file of seen) {
    for (const { line, specifier } of scanModule(readFileSync(file, "utf8")).imports) {
      if (UNTYPED.includes(specifier)) {
        leaks.push(`${relative(dirname(entry), file)}:${line}: a public type needs the types of "${specifier}"`)
      }
      if (specifier.startsWith(".")) seen.add(resolve(dirname(file), specifier.replace(/\.js$/, ".d.ts")))
    }
  }
  return leaks
}

/**
 * A declaration whose relative imports name what is published: `./x.js` where the compiler left `./x.ts`.
 *
 * `rewriteRelativeImportExtensions` covers the JavaScript only.
 *
 * @param {string} source
 */
export const publishedImports = (source) =>
  scanModule(source).imports.reduceRight((text, { offset, specifier }) => {
    const published = specifier.startsWith(".") ? specifier.replace(/(?<!\.d)\.(m?)ts$/, ".$1js") : specifier
    return text.slice(0, offset) + published + text.slice(offset + specifier.length)
  }, source)
