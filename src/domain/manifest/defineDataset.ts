/**
 * The function that config files import from "nozzl", "nozzle" or "@edgeandnode/amp".
 *
 * Those packages need not be installed: the loader answers their names with this module.
 */

/** A file that a function of the dataset is made of, as its name and text. */
export interface FunctionSource {
  readonly source: string
  readonly filename: string
}

/** What a config that is a function is called with. */
export interface DefinitionContext {
  /** Absolute path of the config file. */
  readonly definitionPath: string
  /** Reads a file beside the config file; throws where the path leaves its directory. */
  readonly functionSource: (relativePath: string) => FunctionSource
}

/** A config that is a function; a promise is waited for. */
export type DefinitionFunction<A> = (context: DefinitionContext) => A | Promise<A>

/** Makes the default export of a config file from an object, or from a function that returns one. */
export const defineDataset = <A>(
  definition: A | DefinitionFunction<A>
): DefinitionFunction<A> =>
(context) => typeof definition === "function" ? (definition as DefinitionFunction<A>)(context) : definition
