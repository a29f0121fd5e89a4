/** Runs a config file that is code, and returns the value of its default export. */
import { dirname, isAbsolute, join } from "node:path"
import { pathToFileURL } from "node:url"
import { defineDataset, type DefinitionContext } from "../../domain/manifest/defineDataset.ts"
import { camelToSnake, eventQuery, eventTable, eventTableName, eventTables } from "../../domain/manifest/eventTables.ts"
import { EvaluationFailure, failureFromThrown } from "./evaluationFailure.ts"
import { ModuleLoader } from "./ModuleLoader.ts"
import type { SourceFiles } from "./SourceFiles.ts"
import { reportTsconfigFiles } from "./tsconfigFiles.ts"

/** The packages that config files of both generations import from, and our own. */
const packages = ["nozzl", "nozzle", "@edgeandnode/amp", "ampsync/config"]

/** Their exports where they are not installed. */
const offered = { defineDataset, eventTables, eventTable, eventQuery, eventTableName, camelToSnake }

/** Properties that interoperability code reads of a module namespace; their absence is no error of the config. */
const readByLoaders = new Set(["then", "__esModule", "toJSON"])

/** Fails an import of anything else with an explanation, instead of `undefined is not a function`. */
const packageOf = (name: string): object =>
  new Proxy({ __esModule: true, default: offered, ...offered }, {
    get: (target, key) => {
      if (typeof key === "symbol" || Object.hasOwn(target, key) || readByLoaders.has(key)) {
        return Reflect.get(target, key)
      }
      throw new EvaluationFailure(
        `${JSON.stringify(name)} is not installed beside the config, and ampsync offers ${
          Object.keys(offered).join(", ")
        } in its place, not ${JSON.stringify(key)}; install the package, or write the queries out`
      )
    }
  })

const virtualModules = Object.fromEntries(packages.map((name) => [name, packageOf(name)]))

/** Rejects only with an `EvaluationFailure`. */
export const evaluateConfig = async (path: string, sources: SourceFiles): Promise<unknown> => {
  // 2 MB of compiler that a JSON config never needs.
  const { createJiti } = await import("jiti/static")
  reportTsconfigFiles(path, sources)
  const jiti = createJiti(pathToFileURL(path).href, { fsCache: false, interopDefault: true, tsconfigPaths: true })
  const loader = new ModuleLoader(jiti, virtualModules, sources)
  try {
    const exported = defaultExport(await loader.load(path), path)
    return typeof exported === "function" ? await exported(contextOf(path, sources)) : await exported
  } catch (thrown) {
    throw failureFromThrown(thrown, loader.isOwnFile)
  }
}

const defaultExport = (namespace: unknown, path: string): unknown => {
  if (typeof namespace !== "object" || namespace === null) return namespace
  if ("default" in namespace) return namespace.default
  if ("__esModule" in namespace) throw new EvaluationFailure("has no default export", path)
  return namespace
}

const contextOf = (path: string, sources: SourceFiles): DefinitionContext => ({
  definitionPath: path,
  functionSource: (relativePath) => {
    if (isAbsolute(relativePath) || relativePath.split(/[\\/]/).includes("..")) {
      throw new EvaluationFailure("functionSource reads files beside the config file only", path)
    }
    return { source: sources.read(join(dirname(path), relativePath)), filename: relativePath }
  }
})
