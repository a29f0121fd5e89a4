/**
 * Evaluates one config file with everything it imports, from the files as they are now.
 *
 * The user's own modules are transformed and run here, in a cache that lives for one evaluation: Node caches modules for the
 * life of the process, so its own loader would return an outdated helper. Packages below node_modules and built-in modules do
 * not change under a running service, and are loaded by Node.
 */
import type { Jiti } from "jiti"
import { existsSync, realpathSync } from "node:fs"
import { createRequire, isBuiltin } from "node:module"
import { dirname, extname, join, resolve, sep } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Script } from "node:vm"
import { failureInTransformed, missingModule, parseJson } from "./evaluationFailure.ts"
import type { SourceFiles } from "./SourceFiles.ts"

interface LoadedModule {
  exports: unknown
  readonly done: Promise<void>
}

type Import = (specifier: string) => unknown
type Compiled = (
  exports: unknown,
  require: Import,
  module: { exports: unknown },
  filename: string,
  directory: string,
  jitiImport: Import,
  jitiESMResolve: (specifier: string) => string
) => unknown

const moduleExtensions = new Set([".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"])

/** Loads the modules of one evaluation. */
export class ModuleLoader {
  readonly #jiti: Jiti
  readonly #virtual: Readonly<Record<string, unknown>>
  readonly #sources: SourceFiles
  readonly #modules = new Map<string, LoadedModule>()
  /** By the file of a module: the files it waits for, and how many times. */
  readonly #waits = new Map<string, Map<string, number>>()

  constructor(jiti: Jiti, virtual: Readonly<Record<string, unknown>>, sources: SourceFiles) {
    this.#jiti = jiti
    this.#virtual = virtual
    this.#sources = sources
  }

  /** Whether this loader evaluated the file. */
  readonly isOwnFile = (file: string): boolean => this.#modules.has(file)

  /** Returns the namespace of the module in `file`, an absolute path. */
  load(file: string): Promise<unknown> {
    return this.#import(file, [])
  }

  /**
   * `ancestors` are the modules on the path of imports. One of them, or another one that waits for the importer, is returned
   * as far as it is loaded: modules that are loaded concurrently may import each other.
   */
  async #import(file: string, ancestors: ReadonlyArray<string>): Promise<unknown> {
    const known = this.#modules.get(file)
    const importer = ancestors.at(-1)
    if (known !== undefined) {
      if (!ancestors.includes(file) && !this.#waitsFor(file, importer)) await this.#waiting(importer, file, known.done)
      return known.exports
    }
    if (extname(file) === ".json") return this.#json(file)
    const module: { exports: unknown } = { exports: {} }
    const run = this.#compile(file, true)
    const done = Promise.resolve().then(() => this.#run(run, file, module, [...ancestors, file])).then(() => undefined)
    this.#modules.set(file, this.#entry(module, done))
    await this.#waiting(importer, file, done)
    return module.exports
  }

  async #waiting(importer: string | undefined, file: string, done: Promise<void>): Promise<void> {
    if (importer === undefined) return done
    const files = this.#waits.get(importer) ?? new Map<string, number>()
    this.#waits.set(importer, files)
    files.set(file, (files.get(file) ?? 0) + 1)
    try {
      await done
    } finally {
      const left = files.get(file)! - 1
      if (left === 0) files.delete(file)
      else files.set(file, left)
    }
  }

  /** Whether `file` waits for `other`, directly or through others. */
  #waitsFor(file: string, other: string | undefined, seen = new Set<string>()): boolean {
    if (file === other) return true
    if (seen.has(file)) return false
    seen.add(file)
    return [...this.#waits.get(file)?.keys() ?? []].some((next) => this.#waitsFor(next, other, seen))
  }

  #require(file: string, ancestors: ReadonlyArray<string>): unknown {
    const known = this.#modules.get(file)
    if (known !== undefined) return known.exports
    if (extname(file) === ".json") return this.#json(file)
    const module: { exports: unknown } = { exports: {} }
    this.#modules.set(file, this.#entry(module, Promise.resolve()))
    try {
      this.#run(this.#compile(file, false), file, module, [...ancestors, file])
    } catch (thrown) {
      // As in Node: the next import fails again, instead of getting half a module.
      this.#modules.delete(file)
      throw thrown
    }
    return module.exports
  }

  #entry(module: { exports: unknown }, done: Promise<void>): LoadedModule {
    // A failure is reported by the importer; without a handler here it would be an unhandled rejection.
    done.catch(() => undefined)
    return {
      get exports() {
        return module.exports
      },
      done
    }
  }

  #json(file: string): unknown {
    const value = parseJson(this.#sources.read(file), file)
    this.#modules.set(file, { exports: value, done: Promise.resolve() })
    return value
  }

  #compile(file: string, async: boolean): Compiled {
    const source = this.#sources.read(file)
    const code = this.#jiti.transform({ source, filename: file, ts: /\.[cm]?ts$/.test(file), async, retainLines: true })
    const failure = failureInTransformed(code)
    if (failure !== undefined) throw failure
    const parameters = "exports, require, module, __filename, __dirname, jitiImport, jitiESMResolve"
    // On one line with the code, so that line numbers stay those of the file.
    const script = new Script(`(${async ? "async " : ""}function (${parameters}) { ${code}\n})`, { filename: file })
    return script.runInThisContext() as Compiled
  }

  #run(compiled: Compiled, file: string, module: { exports: unknown }, ancestors: ReadonlyArray<string>): unknown {
    const resolve = (specifier: string) => this.#jiti.esmResolve(specifier, { parentURL: pathToFileURL(file) })
    const require = Object.assign((specifier: string) => this.#fromParent(specifier, file, ancestors, false), {
      resolve: createRequire(file).resolve
    })
    const importing = async (specifier: string) => this.#fromParent(specifier, file, ancestors, true)
    return compiled(module.exports, require, module, file, dirname(file), importing, resolve)
  }

  #fromParent(specifier: string, parent: string, ancestors: ReadonlyArray<string>, async: boolean): unknown {
    if (Object.hasOwn(this.#virtual, specifier) && !isInstalled(specifier, parent)) return this.#virtual[specifier]
    if (isBuiltin(specifier)) return async ? this.#jiti.import(specifier) : createRequire(parent)(specifier)
    const file = this.#resolve(specifier, parent)
    if (this.#isOwn(specifier, file)) return async ? this.#import(file, ancestors) : this.#require(file, ancestors)
    return async ? this.#jiti.import(pathToFileURL(file).href) : createRequire(parent)(specifier)
  }

  #resolve(specifier: string, parent: string): string {
    const url = this.#jiti.esmResolve(specifier, { parentURL: pathToFileURL(parent), try: true })
    if (url === undefined) {
      if (isPath(specifier)) this.#sources.missing(candidates(specifier, parent))
      throw missingModule(specifier, parent)
    }
    const file = url.startsWith("file:") ? fileURLToPath(url) : url
    if (isPath(specifier)) this.#noteLink(specifier, parent, file)
    return file
  }

  /** Node resolves links. A link may be changed to another file, so it is a file of the config too. */
  #noteLink(specifier: string, parent: string, file: string): void {
    const named = candidates(specifier, parent).find((path) => leadsTo(path, file))
    if (named !== undefined && named !== file) this.#sources.read(named)
  }

  /** A package that is linked from a workspace resolves to its real path, and is the user's own as well. */
  #isOwn(specifier: string, file: string): boolean {
    const extension = extname(file)
    if (!moduleExtensions.has(extension) && extension !== ".json") return false
    return isPath(specifier) || !file.split(sep).includes("node_modules")
  }
}

const isInstalled = (specifier: string, parent: string): boolean =>
  (createRequire(parent).resolve.paths(specifier) ?? []).some((directory) =>
    existsSync(join(directory, packageOf(specifier), "package.json"))
  )

/** `@scope/name` or `name`, without what follows. */
const packageOf = (specifier: string): string => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")

const isPath = (specifier: string): boolean => /^\.{0,2}\//.test(specifier) || specifier.startsWith("file:")

const leadsTo = (path: string, file: string): boolean => {
  try {
    return realpathSync.native(path) === file
  } catch {
    return false
  }
}

/** The files a module may resolve to. */
const candidates = (specifier: string, parent: string): ReadonlyArray<string> => {
  const path = specifier.startsWith("file:") ? fileURLToPath(specifier) : resolve(dirname(parent), specifier)
  const endings = ["", ...moduleExtensions, ".json"]
  return [
    ...endings.map((ending) => path + ending),
    ...[...moduleExtensions].map((ending) => `${path}${sep}index${ending}`)
  ]
}
