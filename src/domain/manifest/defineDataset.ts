/**
 * The function that config files import from "nozzl", "nozzle" or "@edgeandnode/amp".
 *
 * Those packages need not be installed: the loader resolves their names to this module.
 */

/** The source file of a function of the dataset: its name and text. */
export interface FunctionSource {
  readonly source: string
  readonly filename: string
}

/** The argument of a config that is a function. */
export interface DefinitionContext {
  /** Absolute path of the config file. */
  readonly definitionPath: string
  /** Reads a file beside the config file; throws where the path leaves its directory. */
  readonly functionSource: (relativePath: string) => FunctionSource
}

/** A config that is a function; a promise is awaited. */
export type DefinitionFunction<A> = (context: DefinitionContext) => A | Promise<A>

/** Makes the default export of a config file from an object, or from a function that returns one. */
export const defineDataset = <A>(
  definition: A | DefinitionFunction<A>
): DefinitionFunction<A> =>
(context) => typeof definition === "function" ? (definition as DefinitionFunction<A>)(context) : definition
