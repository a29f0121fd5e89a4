/** Why a module of the user could not be evaluated: where, and a reason in one line. */
import { jsonErrorOffset, lineOf } from "../../domain/manifest/jsonSyntax.ts"

const maxReasonLength = 300

/** `file` and `line`, counted from 1, where known. */
export class EvaluationFailure extends Error {
  readonly file: string | undefined
  readonly line: number | undefined

  constructor(reason: string, file?: string, line?: number) {
    super(reason)
    this.name = "EvaluationFailure"
    this.file = file
    this.line = line
  }
}

/** jiti reports a syntax error as code that assigns a description of it. */
export const failureInTransformed = (code: string): EvaluationFailure | undefined => {
  const prefix = "exports.__JITI_ERROR__ = "
  if (!code.startsWith(prefix)) return undefined
  const { filename, line, message } = JSON.parse(code.slice(prefix.length)) as {
    readonly filename: string
    readonly line: number
    readonly message: string
  }
  return new EvaluationFailure(`syntax error: ${oneLine(message)}`, filename, line)
}

/** The failure of an import that resolves to nothing. */
export const missingModule = (specifier: string, parent: string): EvaluationFailure =>
  new EvaluationFailure(`cannot find the module ${JSON.stringify(specifier)}`, parent)

/** Parses JSON; a failure has the line and nothing of the text. */
export const parseJson = (text: string, file: string): unknown => {
  const json = text.replace(/^\uFEFF/, "")
  try {
    return JSON.parse(json)
  } catch {
    throw new EvaluationFailure("not valid JSON", file, lineOf(json, Math.max(jsonErrorOffset(json), 0)))
  }
}

/** Reduces what a module threw to a message without values, and to the line of the user's code. */
export const failureFromThrown = (thrown: unknown, isOwnFile: (file: string) => boolean): EvaluationFailure => {
  if (thrown instanceof EvaluationFailure) return thrown
  if (!isError(thrown)) return new EvaluationFailure("threw something that is not an Error")
  const [file, line] = placeOf(thrown.stack ?? "", isOwnFile)
  return new EvaluationFailure(`${thrown.name}: ${oneLine(withoutQuotedInput(thrown.message))}`, file, line)
}

/** Errors of another realm, or of a copy of a library, are errors as well. */
const isError = (thrown: unknown): thrown is Error =>
  thrown instanceof Error ||
  (typeof thrown === "object" && thrown !== null && "message" in thrown && typeof thrown.message === "string" &&
    "name" in thrown && typeof thrown.name === "string")

const placeOf = (stack: string, isOwnFile: (file: string) => boolean): readonly [string?, number?] => {
  // A syntax error begins with `file:line`, a frame reads `at name (file:line:column)` or `at file:line:column`.
  for (const match of stack.matchAll(/(?:^|\(|at (?:async )?)(?:file:\/\/)?(\/[^\n():]+):(\d+)(?::\d+)?\)?$/gm)) {
    const [, file = "", line] = match
    if (isOwnFile(file)) return [file, Number(line)]
  }
  return []
}

/** V8 quotes the argument of `JSON.parse` and `BigInt`. */
const withoutQuotedInput = (message: string): string =>
  message
    .replace(/, (?:\.\.\.)?"[\s\S]*"(?:\.\.\.)? is not valid JSON$/, " in JSON")
    .replace(/^"[\s\S]*" is not valid JSON$/, "not valid JSON")
    .replace(/^Cannot convert [\s\S]* to a BigInt$/, "Cannot convert a value to a BigInt")

const oneLine = (message: string): string => {
  const line = message.split("\n")[0]?.trim() ?? ""
  return line.length > maxReasonLength ? `${line.slice(0, maxReasonLength)}...` : line
}
