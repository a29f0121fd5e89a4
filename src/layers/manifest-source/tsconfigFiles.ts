/** Finds the files whose `paths` a config file is compiled with. */
import { existsSync } from "node:fs"
import { dirname, isAbsolute, join, resolve } from "node:path"
import { runInNewContext } from "node:vm"
import type { SourceFiles } from "./SourceFiles.ts"

const NAME = "tsconfig.json"

/**
 * Reports the `tsconfig.json` that is nearest to the config file in `path` and those it extends, so that a change of one
 * is a change of the config; and the paths of nearer ones that do not exist yet. Packages are left out, as everywhere. Never
 * fails: errors in them are reported where they are used.
 */
export const reportTsconfigFiles = (path: string, sources: SourceFiles): void => {
  const nearer: Array<string> = []
  for (let directory = dirname(path);; directory = dirname(directory)) {
    const file = join(directory, NAME)
    if (existsSync(file)) {
      sources.missing(nearer)
      return reportWithBases(file, sources, new Set())
    }
    nearer.push(file)
    // Directories above a project, such as that of temporary files, have too many events to be watched for a file.
    if (directory === dirname(directory)) return sources.missing(nearer.slice(0, 1))
  }
}

const reportWithBases = (file: string, sources: SourceFiles, seen: Set<string>): void => {
  if (seen.has(file)) return
  seen.add(file)
  for (const base of basesOf(file, sources)) {
    if (base.startsWith(".") || isAbsolute(base)) reportWithBases(baseFile(dirname(file), base), sources, seen)
  }
}

const basesOf = (file: string, sources: SourceFiles): ReadonlyArray<string> => {
  try {
    // With comments and trailing commas it is no JSON, but it is a JavaScript expression.
    const config: unknown = runInNewContext(`(${sources.read(file).replace(/^\uFEFF/, "")}\n)`)
    const bases = typeof config === "object" && config !== null && "extends" in config ? [config.extends].flat() : []
    return bases.filter((base) => typeof base === "string")
  } catch {
    if (!existsSync(file)) sources.missing([file])
    return []
  }
}

/** Source: TypeScript, doc "TSConfig Reference", `extends`: the ending may be left out. */
const baseFile = (directory: string, base: string): string => {
  const file = resolve(directory, base === ".." ? join(base, NAME) : base)
  return !existsSync(file) && !file.endsWith(".json") ? `${file}.json` : file
}
