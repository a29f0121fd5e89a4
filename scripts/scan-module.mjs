/**
 * Finds the imports of a TypeScript module without a parser.
 *
 * The compiler of TypeScript 7 has no JavaScript interface, and bundlers drop type imports, which count for layering.
 * Comments, strings and regular expressions are blanked first, so that what remains can be searched by pattern.
 */

/** A slash after one of these begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{;+\-*%<>~^]|\b(?:return|typeof|case|of|in|yield|await))\s*$/

const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y
const QUOTED = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y
const TEMPLATE_TEXT = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y

const blankText = (text) => text.replace(/[^\n]/g, " ")

/**
 * `source` with the insides of comments, strings and regular expressions replaced by spaces, offsets unchanged.
 *
 * @param {string} source
 */
export const blank = (source) => {
  let out = ""
  // One entry per open `${`: how many braces are open inside it.
  const holes = []
  const match = (pattern) => {
    pattern.lastIndex = out.length
    return pattern.exec(source)?.[0]
  }
  const templateText = () => {
    out += blankText(match(TEMPLATE_TEXT) ?? "")
    if (source.startsWith("${", out.length)) {
      holes.push(0)
      out += "${"
    } else out += "`"
  }
  while (out.length < source.length) {
    const char = source[out.length]
    const comment = char === "/" ? match(COMMENT) : undefined
    const quoted = char === "\"" || char === "'" ? match(QUOTED) : undefined
    if (comment !== undefined) out += blankText(comment)
    else if (quoted !== undefined) out += char + blankText(quoted.slice(2)) + char
    else if (char === "/" && BEFORE_REGEX.test(out.slice(-40))) out += blankText(match(REGEX) ?? "/")
    else if (char === "}" && holes.at(-1) === 0) {
      holes.pop()
      out += "}"
      templateText()
    } else {
      if (holes.length > 0 && char === "{") holes[holes.length - 1] += 1
      if (holes.length > 0 && char === "}") holes[holes.length - 1] -= 1
      out += char
      if (char === "`") templateText()
    }
  }
  return out
}

// `from "x"`, `import "x"`, `import("x")`, `require("x")`: where the quote of the specifier stands.
const IMPORT = /\b(?:from|import|(?:import|require)\s*\()\s*(["'])/g
const PROCESS = /(?:(?<![\w$.])|\bglobalThis\s*\.\s*)process\s*(?:\?\s*)?[.[]\s*(\w*)/g

/** What stands between the keyword and `from` of an import that is erased. */
const ERASED = /^\s+type\s*[\w{*]/

/** @param {string} statement everything up to `from` */
const isErased = (statement) => ERASED.test(statement.split(/\b(?:import|export)\b/).at(-1) ?? "")

const lineOf = (source, offset) => source.slice(0, offset).split("\n").length

/**
 * The imports of a module, type imports included, and its uses of the global `process`. `isType` where nothing of the
 * import is left when the module runs.
 *
 * @param {string} source
 * @returns {{ imports: { specifier: string, line: number, offset: number, isType: boolean }[], processUses: { member: string, line: number }[] }}
 */
export const scanModule = (source) => {
  const code = blank(source)
  const imports = [...code.matchAll(IMPORT)].map((found) => {
    const start = found.index + found[0].length
    return {
      specifier: source.slice(start, code.indexOf(found[1], start)),
      line: lineOf(source, start),
      offset: start,
      isType: found[0].startsWith("from") && isErased(code.slice(0, found.index))
    }
  })
  const processUses = [...code.matchAll(PROCESS)].map((found) => ({
    member: found[1],
    line: lineOf(source, found.index)
  }))
  return { imports, processUses }
}
