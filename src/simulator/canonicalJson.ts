/**
 * JSON text with sorted keys and no spaces. Numbers keep their digits: they are never read as doubles.
 *
 * For well-formed JSON such as PostgreSQL prints; throws `SyntaxError` for anything else.
 */
export const canonicalJson = (text: string): string => {
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
    if (token === "[") return `[${members("]", value).join(",")}]`
    if (token === "{") {
      const pairs = members("}", () => {
        const key = JSON.parse(take()) as string
        if (take() !== ":") throw new SyntaxError("a key of the JSON text has no value")
        return [key, value()] as const
      })
      const sorted = pairs.toSorted(([a], [b]) => a < b ? -1 : 1)
      return `{${sorted.map(([key, member]) => `${JSON.stringify(key)}:${member}`).join(",")}}`
    }
    return token.startsWith(`"`) ? JSON.stringify(JSON.parse(token)) : token
  }
  const canonical = value()
  if (at !== tokens.length) throw new SyntaxError("the JSON text goes on after its value")
  return canonical
}
