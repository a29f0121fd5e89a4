/** Prints JSON text in another form, token by token: numbers keep their digits, as they are never read as doubles. */

/** How the parts of a JSON text are printed. */
export interface JsonForm {
  readonly comma: string
  readonly colon: string
  /** Orders the members of an object, and may drop some. */
  readonly members: (
    pairs: ReadonlyArray<readonly [key: string, value: string]>
  ) => ReadonlyArray<readonly [key: string, value: string]>
  /** Prints a number, `true`, `false` or `null`. */
  readonly word: (token: string) => string
}

/** Prints `text` in a form; throws `SyntaxError` where it is not well-formed. */
export const printJson = (text: string, form: JsonForm): string => {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? []
  let at = 0
  const take = (): string => {
    const token = tokens[at]
    if (token === undefined) throw new SyntaxError("the JSON text ends too early")
    at += 1
    return token
  }
  const members = <A>(end: string, member: () => A): ReadonlyArray<A> => {
    const found: Array<A> = []
    if (tokens[at] === end) return at += 1, found
    do found.push(member())
    while (take() === ",")
    return found
  }
  const value = (): string => {
    const token = take()
    if (token === "[") return `[${members("]", value).join(form.comma)}]`
    if (token === "{") {
      const pairs = members("}", () => {
        const key = JSON.parse(take()) as string
        if (take() !== ":") throw new SyntaxError("a key of the JSON text has no value")
        return [key, value()] as const
      })
      const printed = form.members(pairs).map(([key, member]) => `${JSON.stringify(key)}${form.colon}${member}`)
      return `{${printed.join(form.comma)}}`
    }
    return token.startsWith(`"`) ? JSON.stringify(JSON.parse(token)) : form.word(token)
  }
  const printed = value()
  if (at !== tokens.length) throw new SyntaxError("the JSON text goes on after its value")
  return printed
}
